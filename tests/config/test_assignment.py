"""How values from several sources become one tree."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.config.assignment import (
    Assignment,
    RateAssignment,
    origin_of,
    read_text,
    tree_of,
)
from supervisor.limits import Limit

FILE = Assignment("file", (), {"web": {"port": 1, "host": "a"}, "quota": {"limits": ["x"]}})
PER_MINUTE = Limit(7, "requests", 60.0)


def test_later_goes_before_earlier() -> None:
    """A later assignment replaces what it names, and nothing else."""
    tree = tree_of([FILE, Assignment("option", ("web", "port"), 2)])
    assert tree == {"web": {"port": 2, "host": "a"}, "quota": {"limits": ["x"]}}


def test_lists_are_replaced_whole() -> None:
    """Tables are laid over each other; lists are one value."""
    tree = tree_of([FILE, Assignment("option", ("quota",), {"limits": []})])
    assert tree["quota"] == {"limits": []}


def test_value_in_the_way_of_a_table() -> None:
    """A later table replaces an earlier plain value, and the other way round."""
    plain = Assignment("file", (), {"web": 5})
    assert tree_of([plain, Assignment("o", ("web", "port"), 2)]) == {"web": {"port": 2}}
    assert tree_of([FILE, Assignment("o", ("web",), 5)])["web"] == 5


@pytest.mark.parametrize(
    ("place", "origin"),
    [
        (("web", "port"), "option"),
        (("web", "host"), "file"),
        (("web", "unknown"), "option"),
        (("quota", "limits"), "file"),
        (("model",), ""),
    ],
)
def test_origin(place: tuple[str, ...], origin: str) -> None:
    """The origin of a place is the last source that set it, or else what is around it."""
    assert origin_of(place, [FILE, Assignment("option", ("web", "port"), 2)]) == origin


@pytest.mark.parametrize(
    ("below", "limits"),
    [
        (None, [PER_MINUTE, Limit(9, "requests", 3600.0)]),
        (["100 requests / 60s", "5 tokens / minute"], [PER_MINUTE, "5 tokens / minute"]),
        (["5 tokens / minute"], ["5 tokens / minute", PER_MINUTE]),
        ("100 requests / minute", [PER_MINUTE]),
        ([5, "what"], [5, "what", PER_MINUTE]),
        ([], [PER_MINUTE]),
    ],
)
def test_rate_takes_its_predecessors_place(below: Any, limits: list[Any]) -> None:
    """A rate replaces the limit over the same period, or joins the others."""
    usual = (Limit(1, "requests", 60.0), Limit(9, "requests", 3600.0))
    rate = RateAssignment("variable", ("quota", "limits"), PER_MINUTE, usual=usual)
    assert rate.over(below) == limits


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("9000", "9000"),
        ('["a", 1]', ["a", 1]),
        ("{a = 1}", {"a": 1}),
        ("[unfinished", "[unfinished"),
        ("", ""),
    ],
)
def test_text(text: str, read: object) -> None:
    """Lists and tables are TOML; everything else stays as it is."""
    assert read_text(text) == read


KEYS = st.sampled_from("abc")
LEAVES = st.integers(0, 3)
TABLES = st.dictionaries(KEYS, LEAVES | st.dictionaries(KEYS, LEAVES, max_size=2), max_size=2)


@settings(max_examples=30)
@given(TABLES, TABLES)
def test_the_last_source_is_obeyed(below: dict[str, Any], above: dict[str, Any]) -> None:
    """Whatever the last source says holds, down to every leaf."""
    tree = tree_of([Assignment("below", (), below), Assignment("above", (), above)])
    for place, leaf in _leaves(above):
        found: Any = tree
        for part in place:
            found = found[part]
        assert found == leaf
        assert origin_of(place, [Assignment("b", (), below), Assignment("a", (), above)]) == "a"


def _leaves(tree: Any, place: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if not isinstance(tree, dict):
        return [(place, tree)]
    table = cast("dict[str, Any]", tree)
    return [leaf for key, item in table.items() for leaf in _leaves(item, (*place, key))]
