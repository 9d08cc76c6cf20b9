"""Texts for regular expressions."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.simulator.pattern import matching

PATTERNS = [
    r"^[a-z]{3}-\d{4}$",
    r"^(high|medium|low)$",
    r"^\+?[1-9]\d{1,14}$",
    r"^[A-Z][a-zA-Z0-9_]*$",
    r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$",
    r"^https?://[^\s/$.?#].[^\s]*$",
    r"^[^@]+@[^@]+\.[a-z]{2,}$",
    r"^(?:\d{1,3}\.){3}\d{1,3}$",
    r"^#[0-9a-fA-F]{6}$",
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$",
    r"^v\d+\.\d+\.\d+(-[\w.]+)?$",
    r"^[\w\-./ ]+\.py:\d+$",
    r"^(?P<name>\w+)=(?:a|b)??$",
    r"^\x41\u0042\t[]x]\\$",
    r"\bword\b",
    r"^(?=.*\d)\w+$",
    r"^.{5}$",
    r"(?i)^YES$",
    r"^(?!no)[a-z]+(?<=x|a)$",
    r"",
    r"^$",
    r"a|^b$",
    r"^\w+?,\s\S\D\W$",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_text_matches(pattern: str) -> None:
    """What is made is found by `re`."""
    assert re.search(pattern, matching(pattern))


@given(
    least=st.integers(0, 30),
    spare=st.integers(0, 10),
    pattern=st.sampled_from([r"^[a-f0-9]+$", r"^\w{2,}$", r"x", r"^(ab)*c?$", r"^a.*z$"]),
)
def test_the_text_has_the_length_asked_for(least: int, spare: int, pattern: str) -> None:
    """Repetitions grow until the text is long enough."""
    text = matching(pattern, least=least, most=least + 2 + spare)
    assert re.search(pattern, text)
    assert least <= len(text) <= least + 2 + spare


def test_different_numbers_give_different_texts() -> None:
    """A pattern with several texts gives several."""
    assert len({matching(r"^item-\d+$", number=number) for number in range(5)}) == 5
    assert {matching(r"^(red|green|blue)$", number=number) for number in range(3)} == {
        "red",
        "green",
        "blue",
    }


def test_a_pattern_with_one_text_gives_that_one() -> None:
    """Where there are no others, numbers make no difference."""
    assert matching(r"^only$", number=3) == "only"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("(", "cannot read the regular expression"),
        (r"^(a)\1$", "cannot make a text"),
        (r"^(a)?(?(1)b|c)$", "cannot make a text"),
        (r"^a(?=b)$", "cannot make a text"),
        (r"^((a{9999}){9999}){9999}$", "cannot make a text"),
        (r"^a{99999}$", "expected at most 10000 repetitions, got: 99999"),
        (r"^[^\s\S]$", "cannot choose a character"),
    ],
)
def test_what_cannot_be_made_is_an_error(pattern: str, expected: str) -> None:
    """No wrong text is ever returned."""
    with pytest.raises(ValueError, match=re.escape(expected)):
        matching(pattern)


def test_a_length_that_does_not_fit_is_an_error() -> None:
    """A pattern of four characters has no text of three."""
    with pytest.raises(ValueError, match="cannot make a text"):
        matching(r"^\d{4}$", most=3)
