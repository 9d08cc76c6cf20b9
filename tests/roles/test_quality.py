"""The reviewer: few findings, only on changed lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from supervisor import JobFailed
from supervisor.loading.inventory import load_all
from supervisor.loading.plugin import LoadedRole
from supervisor.testing import ScriptedContext, run_role

pytestmark = pytest.mark.anyio

DIFF = """\
diff --git a/app.py b/app.py
--- a/app.py
+++ b/app.py
@@ -1,3 +1,5 @@
 import os
-print(1)
+print(2)
+print(3)
+os.remove("x")
 print(4)
"""


@pytest.fixture(scope="module")
def quality() -> LoadedRole:
    """The role as the supervisor loads it."""
    inventory = load_all(Path(__file__).parents[2] / "roles")
    assert not inventory.broken
    return inventory.roles["quality"]


def finding(place: str = "app.py:4", **changes: object) -> dict[str, Any]:
    """A finding as the model writes it."""
    return {
        "rule_id": "lost-error",
        "severity": "error",
        "confidence": 0.9,
        "place": place,
        "lines": 1,
        "title": "removes a file",
        "why": "nobody asked for it",
        "suggestion": "do not",
        **changes,
    }


async def review(quality: LoadedRole, *findings: dict[str, Any], diff: object = DIFF) -> Any:
    """What the role makes of the model's findings."""
    context = ScriptedContext([{"findings": list(findings)}])
    return await run_role(quality.role_class, diff, context=context)


async def test_a_finding_on_a_changed_line_is_reported(quality: LoadedRole) -> None:
    """A finding names file and lines of the new file."""
    result = await review(quality, finding())
    (found,) = result.findings
    assert (found.file, found.start, found.end) == ("app.py", 4, 4)
    assert (result.files, result.changed_lines) == (1, 3)


async def test_a_range_ends_where_the_change_ends(quality: LoadedRole) -> None:
    """A finding never reaches beyond the changed lines."""
    (found,) = (await review(quality, finding("app.py:3", lines=50))).findings
    assert (found.start, found.end) == (3, 4)


@pytest.mark.parametrize("line", [2, 3, 4])
async def test_only_changed_lines_are_offered(quality: LoadedRole, line: int) -> None:
    """The schema that the model fills in has the changed lines as its only places."""
    context = ScriptedContext([{"findings": [finding(f"app.py:{line}")]}])
    await run_role(quality.role_class, DIFF, context=context)
    (asked,) = context.asked
    assert asked.schema is not None
    places = str(asked.schema.model_json_schema())
    assert f"app.py:{line}" in places
    assert "app.py:1'" not in places


async def test_doubtful_findings_are_dropped(quality: LoadedRole) -> None:
    """A finding the model itself doubts is not reported."""
    assert (await review(quality, finding(confidence=0.2))).findings == []


async def test_at_most_five_findings(quality: LoadedRole) -> None:
    """However much the model finds, five are reported."""
    assert len((await review(quality, *[finding()] * 8)).findings) == 5


async def test_an_empty_review_is_valid(quality: LoadedRole) -> None:
    """Nothing wrong is an answer."""
    assert (await review(quality)).findings == []


async def test_a_diff_that_only_removes_asks_nobody(quality: LoadedRole) -> None:
    """Without added lines there is nothing to ask the model."""
    context = ScriptedContext()
    diff = "--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n one\n-two\n"
    result = await run_role(quality.role_class, diff, context=context)
    assert (result.findings, context.asked) == ([], [])


async def test_what_is_no_diff_is_refused(quality: LoadedRole) -> None:
    """Text that is no diff fails the job with what was expected."""
    with pytest.raises(JobFailed, match="expected a unified diff"):
        await review(quality, diff="hello")


async def test_a_diff_can_say_what_it_is_meant_to_do(quality: LoadedRole) -> None:
    """What a change is meant to do stands before it in what the model is asked."""
    context = ScriptedContext([{"findings": []}])
    job = {"diff": DIFF, "context": "print more"}
    result = await run_role(quality.role_class, job, context=context)
    assert str(context.asked[0].prompt).startswith("print more\n=== app.py\n")
    assert result.summary == "nothing was found in 3 changed lines of 1 file"


async def test_a_diff_can_be_too_large(quality: LoadedRole) -> None:
    """What no review could make sense of is refused, with what to do."""
    with pytest.raises(JobFailed, match="review it in parts"):
        await review(quality, diff="+" * 10_000_001)


async def test_an_empty_diff_is_refused(quality: LoadedRole) -> None:
    """An object without a diff is no input."""
    with pytest.raises(ValidationError):
        await review(quality, diff={"diff": ""})


async def test_a_long_diff_checks_places_afterwards(quality: LoadedRole) -> None:
    """With more changed lines than a schema can list, wrong places are dropped."""
    lines = "".join(f"+line {number}\n" for number in range(500))
    diff = f"--- a/long.py\n+++ b/long.py\n@@ -0,0 +1,500 @@\n{lines}"
    result = await review(quality, finding("long.py:7"), finding("long.py:700"), diff=diff)
    assert [found.start for found in result.findings] == [7]
