"""The programmer: a branch of its own, every step once, the user's tree untouched."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from supervisor import Answer, JobFailed, JsonValue, ToolCall, Usage
from supervisor.loading.inventory import load_all
from supervisor.loading.plugin import LoadedRole
from supervisor.testing import LocalSandbox, ScriptedContext, run_role

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BUGGY = """\
def gcd(a, b):
    if b == 0:
        return a
    else:
        return gcd(a % b, b)
"""
TEST = """\
import unittest

from gcd import gcd


class Gcd(unittest.TestCase):
    def test_gcd(self):
        self.assertEqual(gcd(35, 21), 7)
"""
MEND = {"path": "gcd.py", "old": "return gcd(a % b, b)", "new": "return gcd(b, a % b)"}


def git(folder: Path, *words: str) -> str:
    """What git prints."""
    identity = ["-c", "user.name=Test", "-c", "user.email=test@localhost"]
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def says(*calls: tuple[str, dict[str, Any]], cost: str = "0.01") -> Answer:
    """An answer that calls tools."""
    made = tuple(
        ToolCall(f"call-{number}", name, json.dumps(arguments))
        for number, (name, arguments) in enumerate(calls)
    )
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in made
        ],
    }
    return Answer("", made, "tool_calls", Usage(10, 5, cost=Decimal(cost)), message)


@pytest.fixture(scope="module")
def code() -> LoadedRole:
    """The role as the supervisor loads it."""
    inventory = load_all(Path(__file__).parents[2] / "roles")
    assert not inventory.broken
    return inventory.roles["code"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A repository with a bug, a test that shows it, and an edit of its user's."""
    home = tmp_path / "home"
    home.mkdir()
    git(home, "init", "--quiet", "--initial-branch=main")
    (home / "gcd.py").write_text(BUGGY)
    (home / "test_gcd.py").write_text(TEST)
    (home / "notes.txt").write_text("one\n")
    git(home, "add", ".")
    git(home, "commit", "--quiet", "-m", "First")
    (home / "notes.txt").write_text("two\n")
    return home


class Desk:
    """What a job of the role is done with.

    Attributes:
        home: The repository.
        recorded: What is on record.
    """

    def __init__(self, code: LoadedRole, home: Path, folder: Path) -> None:
        self.home = home
        self.recorded: dict[str, Any] = {}
        self._role = code.role_class
        self._folder = folder
        self.context = ScriptedContext()

    async def do(self, *answers: Answer | Exception, **work: object) -> Any:
        """What comes of a task when the model says this."""
        self.context = _Recorded(answers, self.recorded, self._folder)
        job = {"task": "Make the tests pass", "repository": str(self.home), **work}
        return await run_role(self._role, job, context=self.context)

    @property
    def told(self) -> list[str]:
        """What the tools have said, as the last question has it."""
        prompt = self.context.asked[-1].prompt
        assert not isinstance(prompt, str)
        return [str(one["content"]) for one in prompt if one["role"] == "tool"]


class _Recorded(ScriptedContext):
    """A scripted context that keeps a record, so that a second run finds it."""

    def __init__(
        self, answers: Sequence[Answer | Exception], recorded: dict[str, Any], folder: Path
    ) -> None:
        super().__init__(answers, folder=folder, sandbox=LocalSandbox("plain"))
        self._recorded = recorded

    async def record(self, name: str, call: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        """Do it unless it is on record."""
        if name not in self._recorded:
            self._recorded[name] = await call()
        value: JsonValue = self._recorded[name]
        return value


@pytest.fixture
def desk(code: LoadedRole, home: Path, tmp_path: Path) -> Desk:
    """A desk with nothing on record."""
    folder = tmp_path / "own"
    folder.mkdir()
    return Desk(code, home, folder)


async def test_a_bug_is_mended_on_a_branch(desk: Desk) -> None:
    """The change is on a branch of its own, the tests were run, the user's tree is as it was."""
    change = await desk.do(
        says(("read", {"path": "gcd.py"}), ("search", {"pattern": "def gcd"})),
        says(("search_replace", MEND)),
        says(("finish", {"summary": "Swap the arguments of gcd"})),
    )
    assert change.passed is True
    assert change.test == "python -m unittest -q"
    assert change.files == ["gcd.py"]
    assert "+        return gcd(b, a % b)" in change.diff
    assert (change.steps, change.stopped) == (3, "")
    assert (change.cost.requests, change.cost.usd) == (3, "0.03")
    assert git(desk.home, "rev-parse", change.branch) == change.commit
    assert git(desk.home, "log", "-1", "--format=%s", change.branch) == "Swap the arguments of gcd"
    assert git(desk.home, "status", "--porcelain") == "M notes.txt"
    assert git(desk.home, "branch", "--show-current") == "main"
    assert git(desk.home, "worktree", "list").count("\n") == 0
    assert (desk.home / "gcd.py").read_text() == BUGGY
    assert desk.told[0].splitlines()[0] == "    1 def gcd(a, b):"
    assert desk.told[1] == "gcd.py:1:def gcd(a, b):\n"


async def test_failing_tests_are_given_back(desk: Desk) -> None:
    """What fails after `finish` is said, and mended; three failures end it and say so."""
    change = await desk.do(
        says(("finish", {"summary": "Nothing to do"})),
        says(("search_replace", MEND)),
        says(("finish", {"summary": "Mended"})),
    )
    assert (change.passed, change.stopped) == (True, "")
    assert "The tests fail" in desk.told[0]
    desk.recorded.clear()
    done = says(("finish", {"summary": "Done, I say"}))
    change = await desk.do(done, done, done)
    assert change.passed is False
    assert "tests failed 3 times" in change.stopped


async def test_limits_end_it_and_keep_what_was_done(desk: Desk) -> None:
    """At the end of its steps or money the change so far is on the branch, and it says why."""
    change = await desk.do(says(("search_replace", MEND)), max_steps=1)
    assert "1 steps" in change.stopped
    assert change.passed is None
    assert git(desk.home, "show", f"{change.branch}:gcd.py") != BUGGY.strip()
    assert "Not finished" in git(desk.home, "log", "-1", "--format=%b", change.branch)
    desk.recorded.clear()
    change = await desk.do(says(("read", {"path": "."}), cost="0.5"), max_usd="0.5")
    assert "0.5 USD" in change.stopped
    assert change.steps == 1


async def test_a_change_of_nothing_leaves_nothing(desk: Desk) -> None:
    """Where nothing had to be changed there is no branch and no worktree afterwards."""
    change = await desk.do(says(("finish", {"summary": "It is right"})), test="true")
    assert (change.branch, change.diff, change.files) == ("", "", [])
    assert change.commit == change.base
    assert git(desk.home, "branch", "--format=%(refname:short)") == "main"


async def test_after_a_crash_no_step_is_done_again(desk: Desk) -> None:
    """A later run takes steps from the record, and undoes what a half-done step has left."""
    first = says(("search_replace", MEND))
    count = says(("run", {"command": "echo x >> ../count; git status --short | wc -l"}))
    with pytest.raises(RuntimeError, match="killed"):
        await desk.do(first, count, RuntimeError("killed"))
    tree = desk.context.folder / "worktrees" / desk.context.job_id
    (tree / "gcd.py").write_text("half a st")
    (tree / "junk.py").write_text("junk")
    change = await desk.do(first, count, says(("finish", {"summary": "Mended"})))
    assert change.passed is True
    assert change.files == ["gcd.py"]
    assert (desk.context.folder / "worktrees" / "count").read_text() == "x\n"


async def test_what_the_model_gets_wrong_is_said_to_it(desk: Desk) -> None:
    """Unknown tools, wrong arguments, paths outside and edits that break are errors it can mend."""
    change = await desk.do(
        says(("delete", {})),
        says(("read", {"file": "gcd.py"})),
        says(("read", {"path": "../../etc/passwd"}), ("search", {"pattern": "x", "path": "/"})),
        says(("read", {"path": "cgd.py"}), ("read", {"path": ".git"})),
        says(("search_replace", {"path": "gcd.py", "old": "else:", "new": "else"})),
        says(("search_replace", {"path": "gcd.py", "old": "return nothing", "new": "x"})),
        Answer("Hm.", (), "stop", None, {"role": "assistant", "content": "Hm."}),
        says(("run", {"command": "exit 3"}), ("search", {"pattern": "no_such[t]hing"})),
        says(("search_replace", {"path": "sub/new.txt", "old": "", "new": "new\n"})),
        says(("search_replace", MEND), ("finish", {"summary": "Mended"})),
    )
    for text, part in zip(
        desk.told,
        (
            'no tool "delete"', "path: Field required", "outside", "outside", "No such file",
            "belongs to git", "would be broken", "does not stand in the file", "exit code 3",
            "nothing matches", "is written", "is changed", "done",
        ),
        strict=True,
    ):  # fmt: skip
        assert part in text
    assert change.files == ["gcd.py", "sub/new.txt"]
    assert change.passed is True


async def test_it_builds_on_what_came_before(desk: Desk) -> None:
    """A task that needs another's change begins at that one's branch, and is told its result."""
    earlier = await desk.do(says(("search_replace", MEND)), says(("finish", {"summary": "Mended"})))
    desk.recorded.clear()
    context = [{"id": "a", "role": "code", "result": earlier.model_dump()}]
    change = await desk.do(says(("finish", {"summary": "Nothing"})), context=context)
    assert (change.base, change.passed) == (earlier.commit, True)
    (prompt,) = [one["content"] for one in desk.context.asked[0].prompt if one["role"] == "user"]  # type: ignore[index]
    assert earlier.branch in prompt


async def test_wrong_input_is_refused(desk: Desk) -> None:
    """A task without a repository is no input; one whose repository is none fails, unpaid."""
    with pytest.raises(ValidationError, match="repository"):
        await desk.do(repository="")
    with pytest.raises(JobFailed, match="expected a git repository"):
        await desk.do(repository=str(desk.home.parent))
    assert desk.context.asked == []
    with pytest.raises(JobFailed, match="expected a commit"):
        await desk.do(base="nowhere")
    assert desk.context.asked == []
