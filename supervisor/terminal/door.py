"""Where somebody sits: this machine's terminal, or one at the other end of an SSH connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prompt_toolkit.input import Input
from prompt_toolkit.output import Output


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """All that a conversation knows of its terminal.

    Attributes:
        input: Keys come from here; it is put into raw mode.
        output: What is shown goes here. Line feeds are written as such: where no driver of a tty
            turns them into new lines, the output has to.
        person: Who sits there.
        local: Whether that is this machine, where an editor may be started.
        columns: The width now, in characters; asked again for everything that is shown.
    """

    input: Input
    output: Output
    person: str
    local: bool
    columns: Callable[[], int]
