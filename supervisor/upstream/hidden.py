"""Texts that must not be seen in others, nor any part of them that says much. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from urllib.parse import quote

SHORTEST = 8
"""Characters below which a text is a word and no secret."""
_PART = 12
"""Characters that are too many of a longer one: errors cut what they show, and some APIs mask the
middle of a key, others its ends."""
_BLOCK = 4
"""Whatever must not be seen holds, wherever it begins, a block at a multiple of this whole."""

_MOST = 8
"""Places of one block that are remembered: one that has more is of a text like `aaaaaaaa`."""
_BLOCKS = re.compile(f".{{{_BLOCK}}}", re.DOTALL)

Span = tuple[int, int]


class Hidden:
    """Secrets, each as it is, in base64, in hex, and in a URL."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: dict[str, list[tuple[str, int]]] = {}

    def __repr__(self) -> str:
        return "<Hidden>"

    def add(self, secret: str) -> None:
        """Let nobody see this from now on.

        Args:
            secret: The text, of `SHORTEST` characters at least.
        """
        for form in _forms(secret):
            for at in range(len(form) - _BLOCK + 1):
                places = self._places.setdefault(form[at : at + _BLOCK], [])
                if len(places) < _MOST and (form, at) not in places:
                    places.append((form, at))

    def blank(self, text: str) -> str:
        """The text with stars in place of what must not be seen.

        Args:
            text: Any text.
        """
        known = self._places
        # Nearly all texts end here, so this is done without a loop of our own.
        if known.keys().isdisjoint(_BLOCKS.findall(text)):
            return text
        found: list[Span] = []
        done = 0
        for at in range(0, len(text) - _BLOCK + 1, _BLOCK):
            if at + _BLOCK <= done:
                continue
            for form, offset in known.get(text[at : at + _BLOCK], ()):
                span = _part(text, at, form=form, offset=offset)
                if span:
                    found.append(span)
                    done = max(done, span[1])
        return "".join(_without(text, found)) if found else text


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode()
    yield secret
    yield quote(secret, safe="")
    yield raw.hex()
    yield raw.hex().upper()
    # In base64 a text looks different at each of three places that it can begin at; what is
    # around it decides the first and the last characters.
    for shift in range(3):
        yield base64.b64encode(b"\0" * shift + raw).decode()[4 if shift else 0 : -4]


def _part(text: str, at: int, *, form: str, offset: int) -> Span | None:
    """How far a text goes on like a form to either side of a block, if that is too far."""
    start, end = at, at + _BLOCK
    first, last = offset, offset + _BLOCK
    while start and first and text[start - 1] == form[first - 1]:
        start, first = start - 1, first - 1
    while end < len(text) and last < len(form) and text[end] == form[last]:
        end, last = end + 1, last + 1
    return (start, end) if end - start >= min(_PART, len(form)) else None


def _without(text: str, spans: list[Span]) -> Iterator[str]:
    """What is left of a text, with stars between; spans that overlap or touch are one."""
    done = -1
    for start, end in sorted(spans):
        if start > done:
            yield text[max(done, 0) : start]
            yield "***"
        done = max(done, end)
    yield text[done:]
