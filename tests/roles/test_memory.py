"""The memory role: describes each file once, and rests its answers on what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from roles.memory import Memory as Role
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
