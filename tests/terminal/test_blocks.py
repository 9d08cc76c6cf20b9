"""Markdown that comes in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.terminal.blocks import Blocks

_LINES = st.sampled_from(
    [
        "",
        "text",
        "- item",
        "1. one",
        "   more",
        "```python",
        "```",
        "~~~",
        "# head",
        "| a |",
        "    x",
    ]
)


def cut(text: str) -> list[str]:
    """The blocks of a text that comes at once."""
    blocks = Blocks()
    return [*blocks.feed(text), *blocks.rest()]


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("one\ntwo\n\nthree", ["one\ntwo", "three"]),
        ("```\na\n\nb\n```\nafter", ["```\na\n\nb\n```", "after"]),
        ("before\n```\na\n```", ["before", "```\na\n```"]),
        ("````\n```\n````\n", ["````\n```\n````"]),
        ("- a\n\n  more\n\n- b\n\ntext", ["- a\n\n  more", "- b", "text"]),
        ("- a\n  ```\n  x\n\n  y\n  ```\n", ["- a\n  ```\n  x\n\n  y\n  ```"]),
        ("| a |\n|---|\n| 1 |\n\n", ["| a |\n|---|\n| 1 |"]),
        ("```\nnever closed", ["```\nnever closed"]),
        ("", []),
        ("\n\n\n", []),
    ],
)
def test_blocks_are_whole(text: str, blocks: list[str]) -> None:
    """Paragraphs, tables, fenced blocks and items with what belongs to them come in one piece."""
    assert cut(text) == blocks


@given(st.lists(_LINES, max_size=12), st.integers(1, 7))
def test_pieces_make_no_difference(lines: list[str], size: int) -> None:
    """How a text is cut on the wire does not change its blocks, and no line of it is lost."""
    text = "\n".join(lines)
    blocks = Blocks()
    found: list[str] = []
    for at in range(0, len(text), size):
        found += blocks.feed(text[at : at + size])
    found += blocks.rest()
    assert found == cut(text)
    kept = [line for block in found for line in block.split("\n") if line.strip()]
    assert kept == [line for line in lines if line.strip()]


def test_a_block_is_given_out_as_soon_as_it_is_complete() -> None:
    """Nobody waits for the end of an answer to see its beginning."""
    blocks = Blocks()
    assert blocks.feed("one\n") == []
    assert blocks.feed("\n") == ["one"]
    assert blocks.feed("```\nx\n```\n") == ["```\nx\n```"]


def test_long_code_comes_in_parts() -> None:
    """A fenced block of many lines is shown before its end, each part fenced by itself."""
    lines = [f"line {number}" for number in range(150)]
    found = cut("\n".join(["```python", *lines, "```"]))
    assert len(found) == 3
    assert all(block.startswith("```python\n") and block.endswith("\n```") for block in found)
    inside = [line for block in found for line in block.split("\n") if not line.startswith("```")]
    assert inside == lines
