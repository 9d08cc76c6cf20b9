"""What the simulated model says in the demonstration.

The first rule whose patterns are found answers: `system` in the instructions, `tool` in the result
of the last tool, `pattern` in the last user message. docs/simulator.md has all of it.
"""

from __future__ import annotations

from typing import Any

_CODE = "You change code in a git repository"


def answers() -> list[dict[str, Any]]:
    """All rules, in order."""
    return [
        {"system": "You plan work for a team", "json": {"tasks": _plan()}},
        {
            "system": "Say in two to five plain sentences",
            "answer": "Merging took the end of the later span, even where the earlier one reaches "
            "further. It takes the greater end now, on a branch of its own; all tests pass, and "
            "the review found nothing that stands in the way.",
        },
        {
            "system": "Answer the question from the numbered passages only",
            "json": {
                "answer": "In merged() of spans.py: spans that touch become one, which has to "
                "reach as far as either of them.",
                "passages": [1],
            },
        },
        {
            "system": _CODE,
            "tool": "is changed",
            **_call("finish", summary="Keep the greater end when spans are merged"),
        },
        {
            "system": _CODE,
            "tool": "exit code 1",
            **_call(
                "search_replace",
                path="spans.py",
                old="result[-1] = (result[-1][0], end)",
                new="result[-1] = (result[-1][0], max(result[-1][1], end))",
            ),
        },
        {
            "system": _CODE,
            "tool": "def merged",
            **_call("run", command="python -m unittest -q"),
        },
        {"system": _CODE, **_call("read", path="spans.py")},
        {"system": "You review", "json": {"findings": [_finding()]}},
        {"pattern": "How is it going", "answer": "Very well: I answer at once, whoever waits."},
        {"system": "Say in one to three sentences", "answer": "A note that keeps the key busy."},
    ]


def _plan() -> list[dict[str, Any]]:
    def task(id: str, role: str, instruction: str, *needs: str) -> dict[str, Any]:
        bounds = {"done_when": "", "max_calls": None, "max_usd": None}
        return {
            "id": id,
            "role": role,
            "instruction": instruction,
            "needs": list(needs),
            **bounds,
        }

    return [
        task("find", "memory", "Where are spans merged, and what has to come of it?"),
        task("mend", "code", "Make the failing test pass; do not change the tests.", "find"),
        task("review", "quality", "Review the change that makes the test pass.", "mend"),
    ]


def _call(name: str, **arguments: str) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


def _finding() -> dict[str, Any]:
    return {
        "rule_id": "unpack-once",
        "severity": "note",
        "confidence": 0.7,
        "place": "spans.py:15",
        "lines": 1,
        "title": "The last span is looked up three times",
        "why": "A name for its two ends would say what they are.",
        "suggestion": "first, last = result[-1]",
    }
