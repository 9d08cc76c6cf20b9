"""The memory role: describes each file once, and rests its answers on what was found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from roles.memory import Memory as Role
from supervisor import JsonValue
from supervisor.clock import SystemClock
from supervisor.memory.memory import Memory
from supervisor.testing import ScriptedContext, run_role


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two files."""
    root = tmp_path / "notes"
    root.mkdir()
    (root / "a.txt").write_text("the quota lasts a minute")
    (root / "b.txt").write_text("lunch is at noon")
    return root


@pytest.fixture
def index(tmp_path: Path) -> Memory:
    """An empty index."""
    return Memory(tmp_path / "memory.sqlite", clock=SystemClock())


async def test_it_indexes_describes_and_finds(folder: Path, index: Memory) -> None:
    """Each file is described once; a second time there is nothing to ask."""
    job: dict[str, Any] = {"index": [str(folder)], "describe": True, "search": "telegram"}
    context = ScriptedContext(["about a telegram", "about food"], index=index)
    found = await run_role(Role, job, context=context)
    assert found.described == 2
    assert [hit["path"] for hit in found.hits] == ["a.txt"]
    again = await run_role(Role, job, context=ScriptedContext(index=index))
    assert again.described == 0


async def test_an_answer_rests_on_what_was_found(folder: Path, index: Memory) -> None:
    """Sources are places that were found; what the model makes up is dropped."""
    await index.add(str(folder))
    context = ScriptedContext([{"answer": "a minute", "passages": [1, 7, 1]}], index=index)
    found = await run_role(Role, "how long does the quota last?", context=context)
    assert (found.answer, found.sources) == ("a minute", ["a.txt:1-1"])


async def test_a_brief_is_a_question_about_its_repository(folder: Path, index: Memory) -> None:
    """A brief's repository is indexed, and its task answered from passages of it alone."""
    other = folder.parent / "other"
    other.mkdir()
    (other / "c.txt").write_text("the quota is large")
    await index.add(str(other))
    context = ScriptedContext([{"answer": "a minute", "passages": [1]}], index=index)
    job = {"task": "how long does the quota last?", "repository": str(folder), "done_when": "x"}
    found = await run_role(Role, job, context=context)
    assert [one["source"] for one in found.indexed] == [str(folder)]
    assert (found.answer, found.sources) == ("a minute", ["a.txt:1-1"])
    assert "large" not in str(context.asked[0].prompt)


async def test_a_brief_without_a_repository_is_about_all(folder: Path, index: Memory) -> None:
    """A brief that names no repository is answered from all that is known."""
    await index.add(str(folder))
    context = ScriptedContext([{"answer": "noon", "passages": [1]}], index=index)
    found = await run_role(Role, {"task": "when is lunch?"}, context=context)
    assert (found.indexed, found.sources) == ([], ["b.txt:1-1"])


class Kept(ScriptedContext):
    """A later run of a job: what is on record is not done again."""

    def __init__(self, kept: dict[str, Any], index: Memory) -> None:
        super().__init__([{"answer": "a minute", "passages": [1]}], index=index)
        self._kept = kept

    async def record(self, name: str, call: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        """What is kept, or what is done now."""
        if name not in self._kept:
            self._kept[name] = await call()
        kept: JsonValue = self._kept[name]
        return kept


async def test_a_later_run_asks_the_same(folder: Path, index: Memory) -> None:
    """Though files have changed meanwhile, a second run of a job asks what the first has asked."""
    kept: dict[str, Any] = {}
    runs = [Kept(kept, index), Kept(kept, index)]
    job = {"task": "how long does the quota last?", "repository": str(folder)}
    first = await run_role(Role, job, context=runs[0])
    (folder / "a.txt").write_text("the quota lasts an hour")
    second = await run_role(Role, job, context=runs[1])
    assert runs[0].asked == runs[1].asked
    assert first == second


async def test_nothing_found_asks_nobody(index: Memory) -> None:
    """Where nothing is known the model is not asked to guess."""
    context = ScriptedContext(index=index)
    found = await run_role(Role, "what is love?", context=context)
    assert (found.sources, context.asked) == ([], [])
    assert "Nothing that is indexed" in found.answer


async def test_unknown_fields_are_refused(index: Memory) -> None:
    """A slip in the input is an error, not silence."""
    with pytest.raises(ValidationError, match="serach"):
        await run_role(Role, {"serach": "x"}, context=ScriptedContext(index=index))
