"""Cutting files into passages: nothing is lost, and names lead to what they name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisor.memory.passages import WINDOW, cut, words
from supervisor.memory.shelves import question

CODE = '''"""About lines."""

import os


class Parser:
    """Reads."""

    size = 3

    @property
    def feed(self):
        return os

    async def close(self): ...


def main():
    return 1


main()
'''


def test_python_is_cut_along_its_definitions() -> None:
    """Each function and class is found by its qualified name, decorators included."""
    named = {one.name: one for one in cut("a.py", CODE) if one.name}
    assert named.keys() == {"Parser", "Parser.feed", "Parser.close", "main"}
    assert named["Parser.feed"].text.splitlines()[0].strip() == "@property"
    assert named["main"].text.strip() == "def main():\n    return 1"


def test_markdown_is_cut_along_its_headings() -> None:
    """A heading names what follows it; one inside a block of code is no heading."""
    text = "intro\n# One\na\n```\n# no\n```\n## Two ##\nb\n"
    assert [(one.name, one.start) for one in cut("a.md", text)] == [("", 1), ("One", 2), ("Two", 7)]


LINES = st.lists(
    st.sampled_from(["", "x = 1", "def f():", "    return 2", "class A:", "# h", "text", "@d"]),
    max_size=200,
)


@given(st.sampled_from(["a.py", "a.md", "a.txt"]), LINES)
def test_no_line_is_lost(path: str, lines: list[str]) -> None:
    """Every line that says something is in a passage, at its place, and none is too long."""
    passages = cut(path, "\n".join(lines))
    held = {
        one.start + offset: line
        for one in passages
        for offset, line in enumerate(one.text.split("\n"))
    }
    for number, line in enumerate(lines, start=1):
        if line.strip():
            assert held[number] == line
    assert all(one.end - one.start < WINDOW for one in passages)


def test_identifiers_are_spelled_out() -> None:
    """An identifier is found whole and by its parts."""
    assert words("parseHTTPRequest2 snake_case") == (
        "parseHTTPRequest2 parse HTTP Request 2 snake_case snake case"
    )


@given(st.text())
def test_nothing_in_a_question_is_syntax(text: str) -> None:
    """A question is quoted words and nothing else."""
    asked = question(text)
    assert all(part[0] == part[-1] == '"' for part in asked.split(" OR ") if part)
    assert asked.count('"') % 2 == 0
