"""A short text for a regular expression, for strings whose schema has a `pattern`.

Best effort over what schemas use in practice: literals, classes, escapes, groups, alternatives,
repetition. What it makes is checked with `re`, so it is right or there is a `ValueError`.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass, field

# Tried in this order wherever a class or an escape leaves a choice; the first few are mixed so that
# look-ahead of the kind "at least one digit" is met.
_CANDIDATES = (
    "a1B2c"
    + string.ascii_letters
    + string.digits
    + " _-.,:;/@#+*=!?%&'\"()[]{}<>|\\~^`$\t\n\r\f\v"
    + "éλ中"
)
_MOST_COPIES = 10_000
_CHOICES = 5
_VARIANTS = 64
_LONGEST = 100_000


@dataclass(slots=True)
class _Piece:
    """A part of the expression and how often it may come.

    Attributes:
        text: The characters to choose among; copies take turns.
        options: The alternatives, where it is a group.
        least: Fewest copies.
        most: Most copies, None for any number.
    """

    text: str = ""
    options: list[list[_Piece]] = field(default_factory=list["list[_Piece]"])
    least: int = 1
    most: int | None = 1

    def write(self, extra: int) -> str:
        copies = self.least + extra
        if self.most is not None:
            copies = min(self.most, copies)
        if not self.options:
            turns = range(extra, extra + copies) if self.text else ()
            return "".join(self.text[turn % len(self.text)] for turn in turns)
        option = self.options[extra % len(self.options)]
        text = "".join(piece.write(extra) for piece in option)
        if len(text) * copies > _LONGEST:
            raise ValueError(f"a regular expression asks for more than {_LONGEST} characters")
        return text * copies


class _Reader:
    """Reads an expression from left to right."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def read(self) -> _Piece:
        # `re` has compiled it already; what is misread here does not match in the end.
        return self._alternatives()

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self, expression: str) -> str:
        match = re.compile(expression, re.DOTALL).match(self._pattern, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]

    def _alternatives(self) -> _Piece:
        options = [self._sequence()]
        while self._take(r"\|"):
            options.append(self._sequence())
        return _Piece(options=options)

    def _sequence(self) -> list[_Piece]:
        pieces: list[_Piece] = []
        while self._peek() not in ("", "|", ")"):
            piece = self._atom()
            self._repeat(piece)
            pieces.append(piece)
        return pieces

    def _atom(self) -> _Piece:
        if self._take(r"\^|\$|\\[bBAZz]"):
            return _Piece()
        if self._peek() == "(":
            return self._group()
        if text := self._take(r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\[dDwWsS]|\."):
            return _Piece(_choice(text))
        if text := self._take(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})"):
            return _Piece(chr(int(text[2:], 16)))
        if text := self._take(r"\\[^\d]"):
            return _Piece(_choice(text))
        if text := self._take(r"[^\\]"):
            return _Piece(text)
        raise ValueError(f'cannot make a text for the regular expression "{self._pattern}"')

    def _group(self) -> _Piece:
        # Look-around adds no text of its own; whether it holds is checked at the end.
        silent = bool(self._take(r"\((?=\?<?[=!])"))
        if silent:
            self._take(r"\?<?[=!]")
        elif self._take(r"\(\?[aimsux]+\)"):
            return _Piece()
        else:
            self._take(r"\((?:\?(?::|P?<\w+>|[aimsux-]+:))?")
        inner = self._alternatives()
        self._take(r"\)")
        return _Piece() if silent else inner

    def _repeat(self, piece: _Piece) -> None:
        mark = self._take(r"(?:[*+?]|\{\d+(?:,\d*)?\})[?+]?")
        if not mark:
            return
        if mark[0] != "{":
            piece.least, piece.most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[mark[0]]
            return
        least, comma, most = mark[1 : mark.index("}")].partition(",")
        piece.least = int(least)
        piece.most = (int(most) if most else None) if comma else piece.least
        if piece.least > _MOST_COPIES:
            raise ValueError(f"expected at most {_MOST_COPIES} repetitions, got: {piece.least}")


def matching(pattern: str, *, least: int = 0, most: int | None = None, number: int = 0) -> str:
    """A text that the pattern is found in.

    Args:
        pattern: A regular expression in the common ground of ECMAScript and Python.
        least: Shortest length allowed, in characters.
        most: Longest length allowed.
        number: Asks for another one than smaller numbers got, where the pattern has several.

    Raises:
        ValueError: The pattern is broken or too intricate.
    """
    try:
        wanted = re.compile(pattern)
        piece = _Reader(pattern).read()
    except (re.error, RecursionError) as exc:
        raise ValueError(f'cannot read the regular expression "{pattern}": {exc}') from None
    number %= _VARIANTS
    found: list[str] = []
    for extra in _growths(number, least):
        try:
            text = piece.write(extra)
        except ValueError:
            break
        for candidate in (text, text.ljust(least, "a"), f"{text}{extra}"):
            fits = len(candidate) >= least and (most is None or len(candidate) <= most)
            if fits and candidate not in found and wanted.search(candidate):
                found.append(candidate)
        if len(found) > number:
            return found[number]
    if found:
        return found[number % len(found)]
    raise ValueError(f'cannot make a text for the regular expression "{pattern}"')


def _growths(number: int, least: int) -> list[int]:
    """How far repetitions are grown, one try after the other.

    Where one part grows it needs `least` copies, where it is two of them or one of two characters
    half as many, and so on.
    """
    shares = [least // parts for parts in range(1, 9)]
    grown = [*range(number + 8), *(share + more for share in shares for more in (0, 1))]
    return [extra for extra in dict.fromkeys(grown) if extra <= _MOST_COPIES]


def _choice(expression: str) -> str:
    """A few characters of a class; the first ones are of different kinds, if it has them."""
    accepts = re.compile(expression, re.DOTALL)
    found = [character for character in _CANDIDATES if accepts.fullmatch(character)]
    if not found:
        raise ValueError(f'cannot choose a character for "{expression}"')
    return "".join(found[:_CHOICES])
