"""Keys over SSH: in order, a few at a time, and the client waits when nobody reads them."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import anyio
import pytest
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

from supervisor.terminal.ssh_input import SshInput
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual")]

BEGIN, END = "\x1b[200~", "\x1b[201~"


class Typist:
    """Somebody's keys, and the one who reads them."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.input = SshInput(self)
        self.turns: list[list[KeyPress]] = []

    def pause_reading(self) -> None:
        """The client has to wait."""
        self.asked.append("wait")

    def resume_reading(self) -> None:
        """The client may go on."""
        self.asked.append("go on")

    def read(self) -> None:
        """Read what there is, as an application does when it is told."""
        keys = self.input.read_keys()
        if keys:
            self.turns.append(keys)

    @property
    def text(self) -> str:
        """All keys so far, as what they are."""
        return "".join(key.data for turn in self.turns for key in turn)

    @property
    def keys(self) -> list[str]:
        """The names of all keys so far."""
        return [
            key.key.value if isinstance(key.key, Keys) else key.key
            for turn in self.turns
            for key in turn
        ]

    async def reads(self, *parts: str) -> None:
        """Feed these, one after the other, to a listener that reads as they come."""
        with self.input.attach(self.read):
            for part in parts:
                self.input.feed(part)
                await asyncio.sleep(0.001)
            await self.rest()

    async def rest(self) -> None:
        """Wait until nothing more is read."""
        turns = -1
        while turns != len(self.turns):
            turns = len(self.turns)
            await asyncio.sleep(0.015)


async def test_keys() -> None:
    """Keys come as they were typed, those of several characters as one."""
    typist = Typist()
    await typist.reads("a\x1b[A\x03é\r")
    assert typist.keys == ["a", "up", "c-c", "é", "c-m"]
    assert len(typist.turns) == 1


async def test_a_key_in_pieces() -> None:
    """A key that arrives in two parts is one key; one that stays a part is Esc after a while."""
    typist = Typist()
    await typist.reads("\x1b[", "A" + "x" * 40)
    assert typist.keys[:2] == ["up", "x"]
    assert typist.text.count("x") == 40
    await typist.reads("\x1b")
    assert [key.key for key in typist.input.flush_keys()] == [Keys.Escape]


async def test_keys_come_a_few_at_a_time() -> None:
    """Many keys are handed out over many turns of the loop, in order, none of them cut."""
    typist = Typist()
    typed = "ab\x1b[1;5C\r" * 20
    await typist.reads(typed)
    assert typist.text == typed
    assert typist.keys.count("c-right") == 20
    assert len(typist.turns) > 4


async def test_what_is_faster_than_typing_is_a_paste() -> None:
    """A long run of plain text is one paste, with or without the terminal's marks."""
    typist = Typist()
    await typist.reads("x" * 5000 + "\r" + "short\r")
    assert typist.keys[:2] == ["<bracketed-paste>", "c-m"]
    assert typist.text == "x" * 5000 + "\r" + "short\r"


@pytest.mark.parametrize("cut", [3, 7, 20, 100])
async def test_marked_pastes(cut: int) -> None:
    """A paste that is marked is one key, wherever the network cuts it, with what is in it."""
    typist = Typist()
    pasted = "def f():\r\tpass\x1b[A" * 3
    stream = f"a{BEGIN}{pasted}{END}b"
    await typist.reads(*(stream[at : at + cut] for at in range(0, len(stream), cut)))
    assert [data for data in typist.keys if data != "escape"] == ["a", "<bracketed-paste>", "b"]
    assert typist.text == f"a{pasted}b"


async def test_a_paste_is_bounded() -> None:
    """What is longer than can be drawn is cut, and says so."""
    typist = Typist()
    await typist.reads(BEGIN, "x" * 60_000, "y" * 60_000, END)
    assert len(typist.text) < 100_100
    assert typist.text.endswith("y\n[20000 more characters are left out]")


async def test_the_client_waits_when_nobody_reads() -> None:
    """Unread keys are bounded: the client has to wait, and goes on when they are read."""
    typist = Typist()
    typist.input.feed("x" * 64 * 1024)
    assert typist.asked == []
    typist.input.feed("x")
    assert typist.asked == ["wait"]
    with typist.input.attach(typist.read):
        await typist.rest()
    assert typist.asked == ["wait", "go on"]


async def test_the_end() -> None:
    """After the last key it is closed, which a listener is told, and not before."""
    typist = Typist()
    typist.input.feed("a" * 20)
    typist.input.close()
    assert not typist.input.closed
    with typist.input.attach(typist.read):
        await until(lambda: typist.input.closed)
    assert typist.text == "a" * 20
    told = anyio.Event()
    with typist.input.attach(told.set), anyio.fail_after(5):
        await told.wait()


async def test_a_paste_that_never_ends() -> None:
    """A client that leaves in the middle of a paste has left."""
    typist = Typist()
    typist.input.feed(BEGIN + "half")
    typist.input.close()
    with typist.input.attach(typist.read):
        await until(lambda: typist.input.closed)
    assert typist.turns == []


async def test_listeners_are_nested() -> None:
    """The one who listens last is told; without one, keys wait for the next."""
    typist, inner = Typist(), anyio.Event()
    with typist.input.attach(typist.read):
        with typist.input.attach(inner.set):
            typist.input.feed("a")
            await inner.wait()
        await until(lambda: typist.text == "a")
        with typist.input.detach():
            typist.input.feed("b")
            await typist.rest()
        assert typist.text == "a"
        await until(lambda: typist.text == "ab")


async def test_a_listener_is_told_in_its_own_context() -> None:
    """What a listener sees of context variables is what it saw when it began to listen."""
    who: ContextVar[str] = ContextVar("who", default="nobody")
    seen: list[str] = []
    typist = Typist()

    def look() -> None:
        typist.input.read_keys()
        seen.append(who.get())

    token = who.set("the listener")
    with typist.input.attach(look):
        who.reset(token)
        typist.input.feed("a")
        await until(lambda: seen)
    assert seen == ["the listener"]


async def test_nothing_is_remembered_of_who_has_left() -> None:
    """Keys that were typed ahead are not given to somebody else, and nobody is told of more."""
    typist = Typist()
    other = SshInput(typist)
    assert typist.input.typeahead_hash() != other.typeahead_hash()
    with typist.input.attach(typist.read):
        typist.input.feed("secret")
        store_typeahead(typist.input, [KeyPress("s")])
        typist.input.forget()
        await typist.rest()
    assert (get_typeahead(typist.input), typist.turns) == ([], [])


async def test_it_is_no_file() -> None:
    """There is no descriptor to be had, and no mode to be set."""
    typist = Typist()
    with pytest.raises(NotImplementedError):
        typist.input.fileno()
    with typist.input.raw_mode(), typist.input.cooked_mode():
        assert repr(typist.input) == "<SshInput waiting=0 ended=False>"
