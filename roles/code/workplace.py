"""A worktree in which every step is done once, over any crash.

What a step came to is on record, together with the tree as the step left it. When a job runs
again, steps on record are not done again; before the first one that is not, the tree of the last
one that is gets restored. So a half-done step leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from anyio import to_thread

from supervisor import Bounds, Context, JsonValue, Ran, Worktree

from .edit import EditRefused
from .files import Files
from .tools import Read, Run, Search, SearchReplace

_COMMAND = Bounds(seconds=120.0, output=12_000)
_SEARCH = Bounds(seconds=20.0, output=12_000)
_TEST = Bounds(seconds=600.0, output=12_000)


class Workplace:
    """Where one job works.

    Args:
        worktree: Its worktree.
        ctx: Keeps the record.
    """

    def __init__(self, worktree: Worktree, ctx: Context) -> None:
        self._worktree = worktree
        self._ctx = ctx
        self._files = Files(worktree.folder)
        self._tree = ""
        self._restored = False

    async def do(self, tool: Read | Search | SearchReplace | Run, *, name: str) -> str:
        """What a tool says; done once.

        Args:
            tool: What is to be done.
            name: Tells this step from all others of the job.
        """
        return str(await self._once(name, partial(self._carried_out, tool)))

    async def tested(self, command: str, *, name: str) -> tuple[bool, str]:
        """Whether a test command succeeds, and what it printed; what it changes is undone.

        Args:
            command: A line for the shell.
            name: Tells this step from all others of the job.
        """

        async def call() -> JsonValue:
            before = await self._worktree.tree()
            ran = await self._run(command, _TEST)
            await self._worktree.restore(before)
            late = f"\n[ended after {_TEST.seconds:g} s]" if ran.timed_out else ""
            return [ran.code == 0 and not ran.timed_out, f"{ran.output}{late}"]

        passed, output = await self._once(name, call)
        return bool(passed), str(output)

    async def committed(self, message: str) -> str:
        """Commit all that has changed; the id of the last commit."""

        async def call() -> JsonValue:
            return await self._worktree.commit(message)

        return str(await self._once("commit", call))

    async def _once(self, name: str, call: Callable[[], Awaitable[JsonValue]]) -> Any:
        async def step() -> JsonValue:
            if not self._restored:
                await self._worktree.restore(self._tree or self._worktree.base)
                self._restored = True
            return [await call(), await self._worktree.tree()]

        recorded: Any = await self._ctx.record(name, step)
        value, self._tree = recorded
        return value

    async def _carried_out(self, tool: Read | Search | SearchReplace | Run) -> JsonValue:
        try:
            if isinstance(tool, Read):
                read = partial(self._files.read, tool.path, start=tool.start, end=tool.end)
                return await to_thread.run_sync(read)
            if isinstance(tool, SearchReplace):
                edit = partial(self._files.replace, tool.path, old=tool.old, new=tool.new)
                return await to_thread.run_sync(edit)
            return await (self._ran(tool) if isinstance(tool, Run) else self._found(tool))
        except EditRefused as error:
            return f"error: {error}"
        except OSError as error:
            return f"error: {error}"

    async def _run(self, command: str | Sequence[str], bounds: Bounds) -> Ran:
        # Without the repository's git folder git would not know the worktree.
        git = self._worktree.repository.git
        folder = self._worktree.folder
        return await self._ctx.sandbox.run(command, folder=folder, bounds=bounds, readable=[git])

    async def _ran(self, tool: Run) -> str:
        ran = await self._run(tool.command, _COMMAND)
        if ran.timed_out:
            return f"ended after {_COMMAND.seconds:g} s\n{ran.output}"
        return f"exit code {ran.code}\n{ran.output}"

    async def _found(self, tool: Search) -> str:
        # A process of its own, which is bounded in time however the expression was written.
        path = await to_thread.run_sync(self._files.relative, tool.path)
        words = ["grep", "-rnIE", "--exclude-dir=.git", "-e", tool.pattern, "--", path]
        ran = await self._run(words, _SEARCH)
        if ran.code == 1 and not ran.output:
            return "nothing matches"
        if ran.code:
            return f"error: {ran.output}"
        return "".join(line.removeprefix("./") for line in ran.output.splitlines(keepends=True))
