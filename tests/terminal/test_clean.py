"""Texts of others, made harmless."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.terminal.clean import Cleaner, clean

_DANGEROUS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NASTY = st.text(st.sampled_from("a\x1b[];0m\x07\\P\x9b\x9c\r\n\t\u202eé"), max_size=40)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]52;c;aGk=\x1b\\x", "x"),
        ("\x1bPdcs\x1b\\x", "x"),
        ("\x9b2Jx", "x"),
        ("\x1bcx", "x"),
        ("\x1b(Bx", "x"),
        ("a\rb", "ab"),
        ("a\r\nb\tc", "a\nb\tc"),
        ("bell\x07", "bell"),
        ("half \ud83d", "half \ufffd"),
        ("\u202egnirts", "gnirts"),
        ("naïve 😀 text", "naïve 😀 text"),
    ],
)
def test_sequences_are_taken_out_whole(text: str, shown: str) -> None:
    """Escape sequences and control characters go, everything else stays."""
    assert clean(text) == shown


@given(st.one_of(st.text(), _NASTY))
def test_nothing_dangerous_is_left(text: str) -> None:
    """Whatever a text is, nothing that a terminal would obey is left of it."""
    assert _DANGEROUS.search(clean(text)) is None


@given(st.lists(_NASTY, max_size=6))
def test_nothing_dangerous_comes_through_in_pieces(pieces: list[str]) -> None:
    """Nor does cutting a text into pieces let anything through."""
    cleaner = Cleaner()
    shown = "".join([*map(cleaner.feed, pieces), cleaner.rest()])
    assert _DANGEROUS.search(shown) is None


@pytest.mark.parametrize("text", ["a\x1b[31mb\x1b[0m\r\nc", "\x1b]0;t\x1b\\x", "x\x1b(By"])
def test_pieces_make_the_same_text(text: str) -> None:
    """A sequence that is cut in two is taken out like a whole one."""
    for at in range(len(text)):
        cleaner = Cleaner()
        assert cleaner.feed(text[:at]) + cleaner.feed(text[at:]) + cleaner.rest() == clean(text)
