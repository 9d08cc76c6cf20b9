"""A review for people: where, how bad, what, why, what to do, and what was not looked at."""

from __future__ import annotations

from typing import Any

from supervisor.terminal.review_text import review_text
from supervisor.terminal.text import Painter
from tests.findings import finding

PLAIN = Painter(enabled=False)


def long(**changes: Any) -> dict[str, Any]:
    """A finding with more than a line to say."""
    return finding(**{"why": "nobody asked\nfor it", "suggestion": "do not,\nnever", **changes})


def shown(*findings: dict[str, Any], **changes: Any) -> str:
    """A review without colours."""
    return review_text({"findings": list(findings), **changes}, PLAIN)


def test_a_finding_says_all_it_has() -> None:
    """Place and severity come first, as an editor can jump to; then why and what to do."""
    text = shown(long(), long(end=6, suggestion="", why=""), summary="2 findings")
    assert text == (
        "a.py:4  error  removes a file  [lost-error, 90%]\n"
        "    nobody asked\n"
        "    for it\n"
        "    > do not,\n"
        "      never\n"
        "\n"
        "a.py:4-6  error  removes a file  [lost-error, 90%]\n"
        "\n"
        "2 findings"
    )


def test_what_was_not_looked_at_is_told() -> None:
    """Files that were left out are told by reason, a few of them by name."""
    left_out = [
        *({"file": f"{number}.bin", "why": "a binary file"} for number in range(7)),
        {"file": "x.py", "why": "too large"},
    ]
    linted = [{"linter": "ruff", "error": "not there"}, {"linter": "json", "error": ""}]
    assert shown(summary="", left_out=left_out, linted=linted).splitlines() == [
        "ruff could not be used: not there",
        "not shown to the model: 0.bin, 1.bin, 2.bin, 3.bin, 4.bin and 2 more (a binary file)",
        "not shown to the model: x.py (too large)",
    ]


def test_nothing_can_steer_the_terminal() -> None:
    """Escape sequences and invisible letters in what files and models say are not passed on."""
    text = shown(long(title="\x1b[2Jx\x07", file="a\u202eb.py", why="\x9b31m"))
    assert not set(text) & set("\x1b\x07\x9b\u202e")


def test_colours_are_the_painters() -> None:
    """Severities have colours where somebody looks."""
    text = review_text({"findings": [long()]}, Painter(enabled=True))
    assert "\x1b[31merror\x1b[0m" in text
