"""A git repository, looked at and worked on without ever touching its user's own working tree."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from supervisor.errors import JobFailed

T = TypeVar("T")

_PASSED_ON = ("PATH", "HOME", "LANG", "SYSTEMROOT")
_SECONDS = 120.0
_REVISION = re.compile(r"(?!-)[^\s\0~^:?*\[\\]{1,250}(?:[~^]\d*)*")
_AUTHOR = {
    "GIT_AUTHOR_NAME": "supervisor",
    "GIT_AUTHOR_EMAIL": "supervisor@localhost",
    "GIT_COMMITTER_NAME": "supervisor",
    "GIT_COMMITTER_EMAIL": "supervisor@localhost",
}
# A repository's configuration can name programs that git then runs: not these.
_HARMLESS = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
# Whoever reads a diff relies on its form, whatever its user has configured.
_DIFF = (
    *("--no-color", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all", "-M"),
    *("--src-prefix=a/", "--dst-prefix=b/", "--submodule=short"),
)


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository.

    Attributes:
        root: Top of its working tree.
        git: Its git folder, which all its worktrees share.
    """

    root: Path
    git: Path

    @classmethod
    async def open(cls, path: str | Path) -> Repository:
        """Find the repository that a path lies in.

        Raises:
            JobFailed: It lies in none.
        """
        folder = Path(path)
        found = await _git(
            ["rev-parse", "--path-format=absolute", "--show-toplevel", "--git-common-dir"],
            folder=folder,
            what=f"expected a git repository, got: {folder}",
        )
        root, git = found.splitlines()
        return cls(Path(root), Path(git))

    async def resolve(self, revision: str) -> str:
        """The id of the commit that a revision names.

        Raises:
            JobFailed: It names none.
        """
        what = f"expected a commit of {self.root}, got: {revision!r}"
        if revision == "HEAD":
            what = f"{self.root} has no commits yet: expected at least one to begin at"
        if not _REVISION.fullmatch(revision):
            raise JobFailed(what)
        name = f"{revision}^{{commit}}"
        command = ["rev-parse", "--verify", "--quiet", "--end-of-options", name]
        found = await _git(command, folder=self.root, what=what)
        return found.strip()

    async def merge_base(self, one: str, other: str) -> str:
        """The id of the last commit that two have in common.

        Raises:
            JobFailed: They have none.
        """
        what = f"{one} and {other} have no commit in common"
        found = await _git(["merge-base", one, other], folder=self.root, what=what)
        return found.strip()

    async def diff(self, base: str, head: str) -> str:
        """What changes from one commit to another, as a unified diff.

        Raises:
            JobFailed: git refuses.
        """
        # Between commits nothing is run in a submodule: that it moved can be said.
        command = ["diff", *_DIFF, "--ignore-submodules=none", "--end-of-options", base, head]
        return await _git(command, folder=self.root, what=f"cannot compare {base} with {head}")

    async def show(self, commit: str, path: str) -> str:
        """A file's text as a commit has it.

        Raises:
            JobFailed: The commit has no such file.
        """
        what = f"{commit} has no file {path}"
        return await _git(["show", f"{commit}:{path}"], folder=self.root, what=what)

    async def worktree(self, folder: Path, *, base: str, branch: str = "") -> Worktree:
        """A working tree of one's own; the one that is already there after a crash.

        Args:
            folder: Where it is to lie; absolute, its parent exists.
            base: The commit it begins at.
            branch: A new branch for what will be committed; none when empty.

        Raises:
            JobFailed: git refuses.
        """
        git = await _in_thread(self._git_of, folder)
        if git is None:
            await self._make(folder, base, branch)
            git = await _in_thread(self._git_of, folder)
        if git is None:
            raise JobFailed(f"git has made no worktree at {folder}")
        return Worktree(self, folder, git, base, branch)

    async def _make(self, folder: Path, base: str, branch: str) -> None:
        what = f"cannot make a worktree of {self.root} at {folder}"
        await _git(["worktree", "prune"], folder=self.root, what=what)
        is_new = bool(branch) and not await self._has(branch)
        if not branch:
            how = ["--detach", str(folder), base]
        elif is_new:
            how = ["-b", branch, str(folder), base]
        else:
            how = [str(folder), branch]
        try:
            await _git(["worktree", "add", "--force", *how], folder=self.root, what=what)
        except JobFailed:
            if is_new and await self._has(branch):
                await self.delete(branch)
            raise

    async def delete(self, branch: str) -> None:
        """Take a branch away, and what is on no other one with it.

        Raises:
            JobFailed: git refuses.
        """
        command = ["branch", "--quiet", "-D", "--end-of-options", branch]
        await _git(command, folder=self.root, what=f"cannot delete the branch {branch}")

    async def _has(self, branch: str) -> bool:
        try:
            await self.resolve(f"refs/heads/{branch}")
        except JobFailed:
            return False
        return True

    def _git_of(self, folder: Path) -> Path | None:
        """The git folder of a worktree that is there, by the repository's word.

        The `.git` file in the worktree says it too, but whatever runs there can write to it.
        """
        wanted = folder / ".git"
        if not folder.is_dir():
            return None
        for known in self.git.glob("worktrees/*/gitdir"):
            if Path(known.read_text("utf-8").strip()) == wanted:
                return known.parent
        return None


@dataclass(frozen=True, slots=True)
class Worktree:
    """A working tree of its own.

    Attributes:
        repository: Whose it is.
        folder: Where it lies.
        git: Its git folder.
        base: The commit it began at.
        branch: The branch that is checked out; empty for none.
    """

    repository: Repository
    folder: Path
    git: Path
    base: str
    branch: str

    async def tree(self) -> str:
        """The id of a tree with everything as it lies there now, what git ignores left out.

        Raises:
            JobFailed: git refuses.
        """
        await self._do("add", "--all", what="cannot take stock of")
        return (await self._do("write-tree", what="cannot take stock of")).strip()

    async def restore(self, tree: str) -> None:
        """Make everything lie there as a tree has it, what git ignores left alone.

        Raises:
            JobFailed: git refuses.
        """
        what = f"cannot restore {tree} in"
        await self._do("read-tree", "--reset", "-u", tree, what=what)
        await self._do("clean", "--force", "-d", "--quiet", what=what)

    async def diff(self) -> str:
        """All that has changed since the base, committed or not, as a unified diff.

        Raises:
            JobFailed: git refuses.
        """
        tree = await self.tree()
        return await self._do("diff", *_DIFF, self.base, tree, what="cannot see what changed in")

    async def changed(self) -> list[str]:
        """Paths that differ from the base, by name.

        Raises:
            JobFailed: git refuses.
        """
        tree = await self.tree()
        command = ("diff", *_DIFF, "--name-only", "-z", self.base, tree)
        listed = await self._do(*command, what="cannot see what changed in")
        return sorted(filter(None, listed.split("\0")))

    async def commit(self, message: str) -> str:
        """Commit everything as it lies there; the id of the commit, the last one's if all is in.

        Raises:
            JobFailed: git refuses.
        """
        what = "cannot commit in"
        tree = await self.tree()
        head = (await self._do("rev-parse", "HEAD", what=what)).strip()
        known = (await self._do("rev-parse", "HEAD^{tree}", what=what)).strip()
        if tree == known:
            return head
        await self._do(
            "commit", "--quiet", "--no-verify", "--no-gpg-sign", "-m", message, what=what
        )
        return (await self._do("rev-parse", "HEAD", what=what)).strip()

    async def remove(self, *, with_branch: bool = False) -> None:
        """Take the working tree away; what was committed on its branch stays.

        Args:
            with_branch: Take the branch away too, and what is on no other one with it.

        Raises:
            JobFailed: git refuses.
        """
        command = ["worktree", "remove", "--force", "--force", str(self.folder)]
        what = f"cannot remove the worktree {self.folder}"
        await _git(command, folder=self.repository.root, what=what)
        if with_branch and self.branch:
            await self.repository.delete(self.branch)

    async def _do(self, *words: str, what: str) -> str:
        places = [f"--git-dir={self.git}", f"--work-tree={self.folder}"]
        return await _git([*places, *words], folder=self.folder, what=f"{what} {self.folder}")


async def _git(words: Sequence[str], *, folder: Path, what: str) -> str:
    """What a git command prints.

    Args:
        words: The command, without `git`.
        folder: Where it runs.
        what: What it means when it fails.

    Raises:
        JobFailed: It failed, is missing, or took too long.
    """
    return await _in_thread(partial(_run_git, words, folder=folder, what=what))


def _run_git(words: Sequence[str], *, folder: Path, what: str) -> str:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {**_AUTHOR, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            ["git", *_HARMLESS, *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise JobFailed(f"{what}: git took more than {_SECONDS:g} s") from None
    except OSError as error:
        raise JobFailed(f"{what}: {error.strerror or error}") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise JobFailed(f"{what}: {lines[-1]}" if lines else what)
    return done.stdout.decode(errors="replace")


async def _in_thread(call: Callable[..., T], *args: Any) -> T:
    # Every command of the command line imports this module, few run git.
    from anyio import to_thread  # noqa: PLC0415

    return await to_thread.run_sync(call, *args)
