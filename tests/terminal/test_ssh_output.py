"""Text for a terminal that may not read: bounded, whole writes only, and the person is told."""

from __future__ import annotations

from supervisor.terminal.ssh_output import SshOutput


class Screen:
    """An output and what came out of it."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.redrawn = 0
        self.output = SshOutput(self.sent.append, redraw=self._redraw)

    def _redraw(self) -> None:
        self.redrawn += 1


def test_line_ends() -> None:
    """A terminal over SSH has no driver that makes whole line ends of bare ones."""
    screen = Screen()
    screen.output.write("a\nb\r\nc")
    screen.output.flush()
    assert screen.sent == ["a\r\nb\r\nc"]


def test_what_is_held_is_sent_later() -> None:
    """What is written while the other side does not read comes later, in order."""
    screen = Screen()
    screen.output.hold("channel")
    screen.output.hold("transport")
    screen.output.write("one")
    screen.output.release("channel")
    screen.output.write("two")
    assert (screen.sent, screen.output.kept) == ([], 6)
    screen.output.release("transport")
    screen.output.write("three")
    assert (screen.sent, screen.output.kept, screen.redrawn) == (["one", "two", "three"], 0, 0)


def test_sending_can_bring_the_reason_back() -> None:
    """As much is sent as the other side takes, and not a write more."""
    sent: list[str] = []

    def send(text: str) -> None:
        sent.append(text)
        output.hold("channel")

    output = SshOutput(send, redraw=lambda: None)
    output.hold("channel")
    output.write("one")
    output.write("two")
    output.release("channel")
    assert (sent, output.kept) == (["one"], 3)
    assert "held=True kept=3" in repr(output)


def test_too_much_is_left_out_whole() -> None:
    """Beyond the bound whole writes are left out until it reads again; it is said how much."""
    screen = Screen()
    screen.output.hold("channel")
    screen.output.write("x" * 2**20)
    screen.output.write("left out")
    screen.output.write("")
    assert screen.output.kept == 2**20
    screen.output.release("channel")
    assert screen.sent[1:] == ["\r\n[8 characters are left out: this terminal did not read]\r\n"]
    assert screen.redrawn == 1
    screen.output.write("on")
    assert screen.sent[-1] == "on"


def test_the_last_words_are_handed_over() -> None:
    """At the end all that was kept is handed over, for nothing comes after it."""
    screen = Screen()
    screen.output.hold("channel")
    screen.output.write("bye")
    screen.output.finish()
    assert screen.sent == ["bye"]


def test_who_is_gone_is_not_asked() -> None:
    """A closed terminal is none, so nobody waits for its answers."""
    screen = Screen()
    assert screen.output.isatty()
    screen.output.close()
    assert not screen.output.isatty()
