"""A repository is worked on in worktrees; its user's own tree stays as it is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from supervisor.errors import JobFailed
from supervisor.workspace.repository import Repository

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def git(folder: Path, *words: str) -> str:
    """What git prints."""
    identity = ["-c", "user.name=Test", "-c", "user.email=test@localhost"]
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A repository with one commit and something uncommitted."""
    home = tmp_path / "home"
    home.mkdir()
    git(home, "init", "--quiet", "--initial-branch=main")
    (home / "a.txt").write_text("one\n")
    (home / ".gitignore").write_text("ignored\n")
    git(home, "add", ".")
    git(home, "commit", "--quiet", "-m", "First")
    (home / "a.txt").write_text("edited by its user\n")
    return home


async def test_the_users_tree_is_never_touched(home: Path, tmp_path: Path) -> None:
    """What is committed on a worktree's branch leaves files, index and branch of the user alone."""
    repository = await Repository.open(home)
    base = await repository.resolve("HEAD")
    tree = await repository.worktree(tmp_path / "tree", base=base, branch="code/x")
    (tree.folder / "a.txt").write_text("two\n")
    (tree.folder / "new.txt").write_text("new\n")
    (tree.folder / "ignored").write_text("no\n")
    commit = await tree.commit("Second")
    assert git(home, "status", "--porcelain").split() == ["M", "a.txt"]
    assert git(home, "branch", "--show-current") == "main"
    assert git(home, "rev-parse", "code/x") == commit
    assert git(home, "show", "--name-only", "--format=", "code/x").split() == ["a.txt", "new.txt"]
    assert (home / "a.txt").read_text() == "edited by its user\n"
    await tree.remove()
    assert git(home, "rev-parse", "code/x") == commit
    assert not tree.folder.exists()


async def test_a_worktree_is_found_again(home: Path, tmp_path: Path) -> None:
    """After a crash the same worktree goes on, and can be put back to any tree it had."""
    repository = await Repository.open(home)
    base = await repository.resolve("main")
    tree = await repository.worktree(tmp_path / "tree", base=base, branch="code/x")
    (tree.folder / "a.txt").write_text("two\n")
    before = await tree.tree()
    (tree.folder / "a.txt").write_text("three\n")
    (tree.folder / "b.txt").write_text("b\n")
    again = await repository.worktree(tmp_path / "tree", base=base, branch="code/x")
    assert again == tree
    assert await again.changed() == ["a.txt", "b.txt"]
    await again.restore(before)
    assert await again.changed() == ["a.txt"]
    assert (tree.folder / "a.txt").read_text() == "two\n"
    assert "+two" in await again.diff()


async def test_a_lost_worktree_is_made_again(home: Path, tmp_path: Path) -> None:
    """A worktree whose folder somebody removed comes back on its branch."""
    repository = await Repository.open(home)
    base = await repository.resolve("main")
    tree = await repository.worktree(tmp_path / "tree", base=base, branch="code/x")
    (tree.folder / "a.txt").write_text("two\n")
    commit = await tree.commit("Second")
    shutil.rmtree(tree.folder)
    again = await repository.worktree(tmp_path / "tree", base=base, branch="code/x")
    assert (again.folder / "a.txt").read_text() == "two\n"
    assert await again.commit("Nothing new") == commit


async def test_no_program_of_a_repository_runs(home: Path, tmp_path: Path) -> None:
    """Neither hooks nor a `.git` file that was written over make git run a stranger's program."""
    mark = tmp_path / "ran"
    hook = home / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
    hook.chmod(0o755)
    repository = await Repository.open(home)
    tree = await repository.worktree(
        tmp_path / "tree", base=await repository.resolve("main"), branch="code/x"
    )
    evil = tmp_path / "evil"
    git(tmp_path, "init", "--quiet", str(evil))
    git(evil, "config", "core.fsmonitor", f"touch {mark}")
    (tree.folder / ".git").write_text(f"gitdir: {evil}/.git\n")
    (tree.folder / "a.txt").write_text("two\n")
    await tree.commit("Second")
    assert await tree.changed() == ["a.txt"]
    assert not mark.exists()
    assert git(home, "log", "-1", "--format=%s", "code/x") == "Second"


async def test_looking(home: Path) -> None:
    """Revisions are resolved, compared and shown."""
    git(home, "commit", "--quiet", "-a", "-m", "Second")
    repository = await Repository.open(home / ".")
    first, second = await repository.resolve("HEAD~1"), await repository.resolve("main")
    assert await repository.merge_base(first, second) == first
    assert "+edited by its user" in await repository.diff(first, second)
    assert await repository.show(first, "a.txt") == "one\n"


@pytest.mark.parametrize("name", ["nothing", "--help", "a b", "", "HEAD:a.txt"])
async def test_what_is_no_commit_is_refused(home: Path, name: str) -> None:
    """A revision that names no commit fails the job and says so; none is taken for an option."""
    repository = await Repository.open(home)
    with pytest.raises(JobFailed, match="expected a commit of"):
        await repository.resolve(name)


async def test_what_is_no_repository_is_refused(tmp_path: Path) -> None:
    """A folder outside of any repository, or none at all, fails the job and says so."""
    with pytest.raises(JobFailed, match="expected a git repository"):
        await Repository.open(tmp_path)
    with pytest.raises(JobFailed, match="No such file"):
        await Repository.open(tmp_path / "missing")


async def test_a_diff_has_one_form(home: Path) -> None:
    """A diff is the same whatever its user has configured, and says when a submodule moved."""
    repository = await Repository.open(home)
    commit = git(home, "rev-parse", "HEAD")
    git(home, "commit", "--quiet", "--all", "-m", "Second")
    git(home, "update-index", "--add", "--cacheinfo", f"160000,{commit},sub")
    git(home, "commit", "--quiet", "-m", "Third")
    plain = await repository.diff(commit, "HEAD")
    for key, value in (("noprefix", "true"), ("mnemonicPrefix", "true"), ("submodule", "log")):
        git(home, "config", f"diff.{key}", value)
    assert await repository.diff(commit, "HEAD") == plain
    assert "+++ b/a.txt" in plain
    assert f"+Subproject commit {commit}" in plain
