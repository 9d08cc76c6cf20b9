"""The index over real folders and repositories: what is there is found, what is gone is not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.to_thread
import pytest
import watchfiles
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.clock import SystemClock
from supervisor.errors import JobFailed, StoreError
from supervisor.memory.memory import Memory
from tests.waiting import until, until_noticed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a little of everything."""
    root = tmp_path / "project"
    (root / "src").mkdir(parents=True)
    (root / "src" / "parser.py").write_text("def parse_request(raw):\n    return raw.split()\n")
    (root / "README.md").write_text("# Install\n\nUse the wheel.\n")
    (root / "image.bin").write_bytes(b"\0\1parse")
    (root / ".env").write_text("KEY=parse-secret\n")
    (root / "big.txt").write_text("parse " * 200_000)
    outside = tmp_path / "outside.txt"
    outside.write_text("parse outside")
    (root / "link.txt").symlink_to(outside)
    return root


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    """An empty index."""
    return Memory(tmp_path / "memory.sqlite", clock=SystemClock())


async def found(memory: Memory, query: str) -> list[str]:
    """Paths of the hits."""
    return [hit.path for hit in await memory.search(query)]


async def test_what_is_worth_knowing_is_found(memory: Memory, folder: Path) -> None:
    """Text is found by its words and the parts of its names; secrets, links, bulk are left out."""
    done = await memory.add(str(folder))
    assert (done.files, done.changed, done.removed, done.skipped) == (2, 2, 0, 4)
    (hit,) = await memory.search("how do I parse a request?")
    assert (hit.path, hit.name, hit.start, hit.end) == ("src/parser.py", "parse_request", 1, 2)
    assert await found(memory, "installing wheels") == ["README.md"]
    assert await found(memory, "secret outside") == []
    assert await memory.search("parse", source=str(folder.parent)) == []
    assert await memory.search('"*)(AND', limit=0) == []


async def test_a_second_pass_reads_only_what_changed(memory: Memory, folder: Path) -> None:
    """New and changed files come in, gone ones leave, the rest stays as it was."""
    await memory.add(str(folder))
    again = await memory.add(str(folder))
    assert (again.changed, again.removed) == (0, 0)

    def edit() -> None:
        (folder / "README.md").unlink()
        (folder / "src" / "parser.py").write_text(
            "def unparse(words):\n    return ' '.join(words)\n"
        )
        (folder / "new.txt").write_text("a wheel again")

    await anyio.to_thread.run_sync(edit)
    third = await memory.add(str(folder))
    assert (third.files, third.changed, third.removed) == (2, 2, 1)
    assert await found(memory, "wheel") == ["new.txt"]
    assert await found(memory, "unparse") == ["src/parser.py"]
    assert await memory.remove(str(folder))
    assert not await memory.remove(str(folder))
    assert await memory.sources() == []
    assert await found(memory, "wheel") == []


async def test_sources_say_what_they_are_and_are_forgotten_wholly(
    tmp_path: Path, folder: Path
) -> None:
    """A source is a repository, a folder or gone, kept or not; forgetting one leaves the others."""
    kept = tmp_path / "kept"
    await anyio.Path(kept, ".git").mkdir(parents=True)
    await anyio.Path(kept, "wheel.txt").write_text("another wheel")
    memory = Memory(tmp_path / "memory.sqlite", clock=SystemClock(), folders=[kept])
    await memory.add(str(folder))
    await memory.add(str(kept))
    told = {one.path: (one.kind, one.kept) for one in await memory.sources()}
    assert told == {str(folder): ("folder", False), str(kept): ("repository", True)}
    await anyio.Path(folder).rename(tmp_path / "elsewhere")
    assert [one.kind for one in await memory.sources() if one.path == str(folder)] == ["gone"]
    assert await memory.remove(str(folder))
    assert await found(memory, "wheel") == ["wheel.txt"]
    assert await found(memory, "parse request") == []
    assert [one.path for one in await memory.sources()] == [str(kept)]


async def test_a_description_is_found_until_the_file_changes(memory: Memory, folder: Path) -> None:
    """What was said about a file leads to it; a changed file has to be described anew."""
    await memory.add(str(folder))
    documents = await memory.undescribed(str(folder), limit=10)
    assert [one.path for one in documents] == ["README.md", "src/parser.py"]
    await memory.describe(documents[1], "splits telegrams")
    assert await found(memory, "telegram") == ["src/parser.py"]
    assert [one.path for one in await memory.undescribed(str(folder), limit=10)] == ["README.md"]
    (source,) = await memory.sources()
    assert (source.path, source.files, source.described) == (str(folder), 2, 1)
    await anyio.Path(folder, "src", "parser.py").write_text("x = 1\n")
    await memory.add(str(folder))
    await memory.describe(documents[1], "splits telegrams")
    assert await found(memory, "telegram") == []


async def test_a_repository_is_what_git_says(memory: Memory, folder: Path) -> None:
    """In a git repository ignored files are left out, untracked ones are not."""
    await anyio.run_process(["git", "init", "-q", str(folder)])
    await anyio.Path(folder, ".gitignore").write_text("src/\n")
    await memory.add(str(folder))
    assert await found(memory, "parse") == []
    assert await found(memory, "wheel") == ["README.md"]


async def test_a_repository_runs_nothing_and_sees_no_key(
    memory: Memory, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that a repository names is not run, and the key is in no child's environment."""
    monkeypatch.setenv("XAI_API_KEY", "xai-test-not-a-real-key")
    spy, seen = folder.parent / "spy", folder.parent / "seen"
    await anyio.Path(spy).write_text(f"#!/bin/sh\nenv > {seen}\n")
    await anyio.Path(spy).chmod(0o755)
    for command in (["init", "-q"], ["config", "core.fsmonitor", str(spy)]):
        await anyio.run_process(["git", "-C", str(folder), *command])
    await memory.add(str(folder))
    assert not await anyio.Path(seen).exists()
    bin_folder = folder.parent / "bin"
    await anyio.Path(bin_folder).mkdir()
    await anyio.Path(bin_folder, "git").write_text(f"#!/bin/sh\nenv > {seen}\n")
    await anyio.Path(bin_folder, "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_folder), prepend=os.pathsep)
    await memory.add(str(folder))
    environment = await anyio.Path(seen).read_text()
    assert "PATH=" in environment
    assert "not-a-real-key" not in environment


async def test_a_repository_that_ignores_everything_is_empty(memory: Memory, folder: Path) -> None:
    """Where git names no file, none is indexed."""
    await anyio.run_process(["git", "init", "-q", str(folder)])
    await anyio.Path(folder, ".gitignore").write_text("*\n")
    assert (await memory.add(str(folder))).files == 0


async def test_an_empty_file_is_not_offered_for_description(memory: Memory, tmp_path: Path) -> None:
    """Nobody pays for a description of nothing."""
    await anyio.Path(tmp_path, "code").mkdir()
    await anyio.Path(tmp_path, "code", "__init__.py").write_text("\n")
    assert (await memory.add(str(tmp_path / "code"))).files == 1
    assert await memory.undescribed(str(tmp_path / "code"), limit=9) == []


async def test_what_is_wrong_is_said(memory: Memory, tmp_path: Path) -> None:
    """A folder that is none and a file that is no index are errors that name it."""
    with pytest.raises(JobFailed, match=r"expected a folder to index, got: .*nothing"):
        await memory.add(str(tmp_path / "nothing"))
    await anyio.Path(tmp_path, "broken.sqlite").write_text("no index, for sure\n" * 100)
    with pytest.raises(StoreError, match=r"broken\.sqlite failed"):
        await Memory(tmp_path / "broken.sqlite", clock=SystemClock()).sources()
    assert "memory.sqlite" in repr(memory)


@pytest.mark.slow
async def test_a_watched_folder_is_kept_up_to_date(tmp_path: Path, folder: Path) -> None:
    """A configured folder is indexed at the start, and a change is found soon after."""
    memory = Memory(tmp_path / "m.sqlite", clock=SystemClock(), folders=[folder])
    async with anyio.create_task_group() as tasks:
        await tasks.start(memory.run)
        await until(lambda: found(memory, "wheel"))
        late, numbers = folder / "late.txt", count()
        await until_noticed(
            lambda: late.write_text(f"a telegram {next(numbers)}"),
            lambda: found(memory, "telegram"),
        )
        tasks.cancel_scope.cancel()


@pytest.mark.slow
async def test_a_missing_folder_and_its_own_file_disturb_nothing(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configured folder that is not there is no crash; our own writing is no change."""
    folders = [tmp_path / "nowhere", folder]
    memory = Memory(folder / "data" / "memory.sqlite", clock=SystemClock(), folders=folders)
    watch, news = watchfiles.watch, dict[str, bool]()

    def judged(
        *places: Path, watch_filter: Callable[[watchfiles.Change, str], bool], **more: Any
    ) -> Iterator[object]:
        def judge(change: watchfiles.Change, path: str) -> bool:
            news[path] = watch_filter(change, path)
            return news[path]

        return watch(*places, watch_filter=judge, **more)

    async def are_own_writings_judged() -> bool:
        # Reading opens the file, and writes beside it.
        await found(memory, "wheel")
        return any("memory.sqlite" in path for path in news)

    monkeypatch.setattr(watchfiles, "watch", judged)
    async with anyio.create_task_group() as tasks:
        await tasks.start(memory.run)
        await until(memory.sources)
        await until(are_own_writings_judged)
        tasks.cancel_scope.cancel()
    assert not any(news.values()), news


NAMES = st.sampled_from(["a.py", "b.md", "c.txt", "d/e.py"])
TEXTS = st.sampled_from(["alpha = 1", "# Beta\nbeta", "def gamma(): ...", "delta alpha", ""])


@pytest.mark.slow
@settings(max_examples=15)
@given(st.lists(st.dictionaries(NAMES, TEXTS, max_size=4), min_size=1, max_size=4))
def test_step_by_step_is_as_good_as_from_scratch(states: list[dict[str, str]]) -> None:
    """Whatever was edited and deleted in between, the index is that of the folder as it is."""

    async def go(place: str) -> None:
        root = Path(place, "root")
        steps = Memory(Path(place, "steps.sqlite"), clock=SystemClock())
        for number, state in enumerate(states):
            await anyio.to_thread.run_sync(_make, root, state, number)
            await steps.add(str(root))
        fresh = Memory(Path(place, "fresh.sqlite"), clock=SystemClock())
        await fresh.add(str(root))
        for query in ("alpha", "beta", "gamma", "delta"):
            assert set(await found(steps, query)) == set(await found(fresh, query))

    with TemporaryDirectory() as place:
        anyio.run(go, place)


def _make(root: Path, state: dict[str, str], number: int) -> None:
    """Make a folder what it is to be, with times that tell the steps apart."""
    (root / "d").mkdir(parents=True, exist_ok=True)
    for path in [*root.rglob("*.*")]:
        path.unlink()
    for name, text in state.items():
        (root / name).write_text(text)
        os.utime(root / name, (1_800_000_000 + number, 1_800_000_000 + number))


def test_the_index_needs_no_supervisor() -> None:
    """Importing the index starts nothing and loads no client."""
    code = "import sys, supervisor.memory.memory; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
