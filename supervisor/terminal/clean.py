"""Takes out of a text what would make a terminal do something instead of showing it. Pure.

Whatever a model, a server or another person's file says is untrusted: an escape sequence in it
could move the cursor, rewrite what was said before, or put something on the clipboard.
"""

from __future__ import annotations

import re

_SEQUENCE = re.compile(
    r"""
    (?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]                            # CSI: colours, cursor, modes
    | (?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)  # OSC, DCS …
    | \x1b[ -/]*[0-~]                                           # ESC and one letter
    """,
    re.VERBOSE,
)
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, DEL, C1
    "\u202a-\u202e\u2066-\u2069]"  # what turns the order of the characters around
)
_HALVES = re.compile("[\ud800-\udfff]")
_BEGUN = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\x9c]{0,256}\x1b?|[ -/]*)\Z|\r\Z")
"""What may be the beginning of a sequence, at the end of a piece."""


def clean(text: str) -> str:
    """The text without escape sequences and control characters.

    Args:
        text: Anything; tabs and line feeds stay, half a surrogate pair becomes a question mark.
    """
    text = _SEQUENCE.sub("", text.replace("\r\n", "\n"))
    return _HALVES.sub("\ufffd", _CONTROL.sub("", text))


class Cleaner:
    """Cleans a text that comes in pieces; a sequence may lie across several.

    Nothing dangerous depends on finding the whole sequence: each control character alone is taken
    out as well, this only spares the reader the rest of it.
    """

    def __init__(self) -> None:
        self._begun = ""

    def feed(self, piece: str) -> str:
        """What can be shown now that this has come."""
        text = self._begun + piece
        begun = _BEGUN.search(text)
        self._begun = begun[0] if begun else ""
        return clean(text[: len(text) - len(self._begun)])

    def rest(self) -> str:
        """What was held back, at the end."""
        rest, self._begun = self._begun, ""
        return clean(rest)
