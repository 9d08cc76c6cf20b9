"""Everything that is shown, through one door: lines for good, and one line that is not."""

from __future__ import annotations

from prompt_toolkit.output import ColorDepth
from prompt_toolkit.utils import get_cwidth

from supervisor.terminal.clean import clean
from supervisor.terminal.door import Door
from supervisor.terminal.markdown import render
from supervisor.terminal.text import Color, Painter


class Screen:
    """One terminal.

    Args:
        door: Where it is.
        plain: Show markdown as it was written, and nothing in colour.
    """

    def __init__(self, door: Door, *, plain: bool = False) -> None:
        self._output = door.output
        self._columns = door.columns
        self._depth = door.output.get_default_color_depth()
        self._shown = ""
        self._open = False
        self.plain = plain
        self.painter = Painter(enabled=not plain and self._depth is not ColorDepth.DEPTH_1_BIT)

    def say(self, text: str, color: Color | None = None) -> None:
        """Show lines of our own; what others said in them does no harm.

        Args:
            text: Without colours.
            color: What it says; None for nothing in particular.
        """
        text = clean(text)
        self._line(self.painter.paint(text, color) if color else text)

    def show(self, painted: str) -> None:
        """Show lines that were coloured by `painter`, of parts that were cleaned."""
        self._line(painted)

    def markdown(self, block: str) -> None:
        """Show a block of markdown, and an empty line behind it."""
        if self.plain:
            self._line(f"{clean(block)}\n")
            return
        self._line(render(clean(block), columns=self._columns(), depth=self._depth))

    def flow(self, text: str) -> None:
        """Show text that goes on where the last left off. It has to be clean."""
        if text:
            self._erase()
            self._output.write_raw(text)
            self._output.flush()
            self._open = not text.endswith("\n")

    def end_flow(self) -> None:
        """End the line that flowing text is in, and leave one empty."""
        if self._open:
            self._line("")

    def status(self, text: str) -> None:
        """Show one line until something else is shown; empty takes it away.

        Nothing is shown while text flows: it would stand in its middle.
        """
        if self._open or (text == self._shown and text):
            return
        self._erase()
        if text:
            self._shown = text
            line = fitted(clean(text), self._columns() - 1)
            self._output.write_raw(self.painter.paint(line, Color.FAINT))
        self._output.flush()

    def _line(self, text: str) -> None:
        self._erase()
        if self._open:
            self._output.write_raw("\n")
            self._open = False
        self._output.write_raw(f"{text}\n")
        self._output.flush()

    def _erase(self) -> None:
        if self._shown:
            self._shown = ""
            self._output.write_raw("\r")
            self._output.erase_end_of_line()


def fitted(text: str, columns: int) -> str:
    """The text on one line of so many columns; its end is what can be spared.

    Args:
        text: Any text.
        columns: 1 or more.
    """
    line = " ".join(text.split())
    if get_cwidth(line) <= columns:
        return line
    while line and get_cwidth(line) > columns - 1:
        line = line[:-1]
    return f"{line}…"
