"""The reviewer in a repository: which commits, linters first, and nothing left behind."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from supervisor import Brief, JobFailed, Ran, TaskResult
from supervisor.loading.inventory import load_all
from supervisor.loading.plugin import LoadedRole
from supervisor.testing import LocalSandbox, ScriptedContext, run_role
from tests.roles.git_repository import GitRepository

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

NOTHING: dict[str, Any] = {"findings": []}
BEFORE = "def one() -> int:\n    return 1\n"
BUGGY = f"{BEFORE}\n\ndef two() -> int:\n    return twoo\n"


@pytest.fixture(scope="module")
def quality() -> LoadedRole:
    """The role as the supervisor loads it."""
    inventory = load_all(Path(__file__).parents[2] / "roles")
    assert not inventory.broken
    return inventory.roles["quality"]


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    """A repository whose last commit has a bug that ruff finds."""
    repository = GitRepository.made(tmp_path / "project", {"a.py": BEFORE})
    repository.commit({"a.py": BUGGY})
    return repository


class Desk:
    """A folder, a sandbox and a model for one review."""

    def __init__(self, folder: Path, *answers: Any, sandbox: Any = None) -> None:
        self.folder = folder / "quality"
        self.folder.mkdir(exist_ok=True)
        self.context = ScriptedContext(
            answers or [NOTHING], sandbox=sandbox or LocalSandbox("plain"), folder=self.folder
        )

    @property
    def prompt(self) -> str:
        """What the model was asked."""
        (asked,) = self.context.asked
        return str(asked.prompt)

    async def review(self, quality: LoadedRole, job: Any) -> Any:
        """What the role makes of a job."""
        return await run_role(quality.role_class, job, context=self.context)


async def test_linters_come_first(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path
) -> None:
    """What a linter finds in changed lines is a finding, and the model is told so."""
    desk = Desk(tmp_path)
    review = await desk.review(quality, {"repository": str(repository.root)})
    (found,) = review.findings
    assert (found.rule_id, found.source, found.severity) == ("ruff/F821", "linter", "error")
    assert (found.file, found.start, found.end) == ("a.py", 6, 6)
    assert "- a.py:6 ruff/F821: Undefined name `twoo`" in desk.prompt
    assert [(one.linter, one.files, one.error) for one in review.linted] == [("ruff", 1, "")]
    assert review.head == repository.git("rev-parse", "HEAD")


async def test_the_repository_decides_what_its_linter_looks_for(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path
) -> None:
    """The repository's own configuration holds: what it ignores is not told, what it selects is."""
    repository.commit({"ruff.toml": '[lint]\nselect = ["B", "E5"]\nignore = ["F821"]\n'})
    repository.commit({"a.py": BUGGY + "\n\ndef three(items=[]):  # " + "x" * 99 + "\n    pass\n"})
    review = await Desk(tmp_path).review(quality, {"repository": str(repository.root)})
    assert [(one.rule_id, one.severity, one.start) for one in review.findings] == [
        ("ruff/B006", "warning", 9)
    ]
    assert [one.others for one in review.linted] == [1], "the long line is style"


async def test_worst_first_and_five_at_most(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path
) -> None:
    """Linter's and model's findings share five places: severity first, then confidence."""
    names = "".join(f"print(missing_{number})\n" for number in range(3))
    repository.commit({"a.py": f"{BUGGY}{names}print(twoo)\nprint(twoo)\n"})
    model = [
        {
            "rule_id": "bug",
            "severity": severity,
            "confidence": confidence,
            "place": "a.py:7",
            "lines": 1,
            "title": title,
            "why": "it is",
            "suggestion": "",
        }
        for severity, confidence, title in [
            ("note", 0.9, "c"),
            ("warning", 1.0, "b"),
            ("error", 0.8, "a"),
        ]
    ]
    desk = Desk(tmp_path, {"findings": model})
    review = await desk.review(quality, {"repository": str(repository.root)})
    assert [one.title for one in review.findings] == [
        *(f"Undefined name `missing_{number}`" for number in range(3)),
        "Undefined name `twoo`",
        "a",
    ]
    assert review.findings[3].why.endswith("Also in line 11."), "told once for each name"
    assert review.summary.startswith("the 5 worst of 7 findings in 5 changed lines of 1 file")


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ({}, "+side"),
        ({"range": "HEAD~1"}, "+side"),
        ({"range": "main"}, "+side"),
        ({"range": "main..side"}, "-main +side"),
        ({"range": "main...side"}, "+side"),
        ({"range": "side..main"}, "+main -side"),
        ({"range": "side...main"}, "+main"),
        ({"range": "main.."}, "-main +side"),
        ({"branch": "main", "base": "side"}, "+main"),
        ({"branch": "side", "base": "main"}, "+side"),
        ({"branch": "main"}, "+main"),
    ],
)
async def test_ranges_mean_what_they_mean_to_git(
    quality: LoadedRole, tmp_path: Path, span: dict[str, str], expected: str
) -> None:
    """Two dots compare two commits, three what one has since they parted; one is up to HEAD."""
    repository = GitRepository.made(tmp_path / "project", {"x": "x\n"})
    repository.git("branch", "side")
    repository.commit({"main": "main\n"})
    repository.git("checkout", "--quiet", "side")
    repository.commit({"side": "side\n"})
    desk = Desk(tmp_path)
    review = await desk.review(quality, {"repository": str(repository.root), **span})
    signed = (
        [*(f"+{name}" for name in ("main", "side") if f"     1 +{name}" in desk.prompt)]
        if (desk.context.asked)
        else []
    )
    gone = [f"-{one.file}" for one in review.left_out]
    assert sorted(signed + gone) == sorted(expected.split())


async def test_a_merge_is_reviewed_as_what_it_brings(quality: LoadedRole, tmp_path: Path) -> None:
    """The last commit, a merge, is compared with its first parent."""
    repository = GitRepository.made(tmp_path / "project", {"x": "x\n"})
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit({"side": "side\n"})
    repository.git("checkout", "--quiet", "main")
    repository.commit({"main": "main\n"})
    repository.git("merge", "--quiet", "--no-ff", "-m", "Merge", "side")
    desk = Desk(tmp_path)
    await desk.review(quality, {"repository": str(repository.root)})
    assert "=== side" in desk.prompt
    assert "=== main" not in desk.prompt


def code_result(repository: GitRepository, **changes: Any) -> dict[str, Any]:
    """What a code job comes to."""
    return {
        "repository": str(repository.root),
        "branch": "main",
        "base": repository.git("rev-parse", "HEAD~1"),
        "commit": repository.git("rev-parse", "HEAD"),
        "diff": "…",
        "files": ["a.py"],
        "test": "pytest",
        "passed": False,
        "summary": "adds two",
        "stopped": "",
        "steps": 3,
        "cost": {"requests": 3, "tokens": 1, "usd": None},
        **changes,
    }


async def test_a_code_jobs_result_is_reviewed(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path
) -> None:
    """The result of a code job as it is names the commits, whatever came onto its branch later."""
    result = code_result(repository)
    repository.commit({"later.py": "print(later)\n"})
    desk = Desk(tmp_path)
    review = await desk.review(quality, {"job": result, "context": "add two"})
    assert [one.file for one in review.findings] == ["a.py"]
    assert desk.prompt.startswith("add two\nIts author says: adds two\nIts tests (pytest) failed.")
    assert "later" not in desk.prompt


async def test_a_brief_names_its_newest_branch(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path
) -> None:
    """Of the results a task builds on, the newest with a branch is reviewed."""
    result = code_result(repository, passed=None)
    stale = code_result(repository, commit=result["base"])
    brief = Brief(
        task="add two",
        done_when="two() is 2",
        context=(
            TaskResult(id="t1", role="code", result=stale),
            TaskResult(id="t2", role="code", result=result),
            TaskResult(id="t3", role="memory", result="nothing"),
        ),
    )
    desk = Desk(tmp_path)
    review = await desk.review(quality, brief.model_dump(mode="json"))
    assert review.findings[0].file == "a.py"
    assert desk.prompt.startswith("Asked for: add two\nIt is done when: two() is 2\nIts author")


async def test_a_brief_without_a_branch_means_the_last_commit(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path
) -> None:
    """A task that builds on nothing reviews the last commit of its repository."""
    brief = Brief(task="review it", repository=str(repository.root))
    review = await Desk(tmp_path).review(quality, brief)
    assert (review.findings[0].file, review.head) == ("a.py", repository.git("rev-parse", "HEAD"))


async def test_nothing_to_review_is_said(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path
) -> None:
    """Where there is nothing to review, the job fails and says what is missing."""
    desk = Desk(tmp_path)
    empty = code_result(repository, branch="")
    cases: list[tuple[Any, str]] = [
        (Brief(task="x"), "no task before this one has made a branch"),
        ({"job": empty}, "the code job changed nothing"),
        (
            Brief(task="x", context=(TaskResult(id="t", role="code", result=empty),)),
            "the code job changed nothing",
        ),
        (
            Brief(
                task="x",
                context=(TaskResult(id="t", role="code", result={**empty, "branch": 7}),),
            ),
            "expected the result of task t to be one of the role code, got: branch",
        ),
        ({"repository": "project"}, "expected the repository as an absolute path, got: 'project'"),
        ({"repository": str(tmp_path / "no")}, "expected a git repository, got"),
        ({"repository": str(repository.root), "range": "HEAD~7"}, "got: 'HEAD~7'"),
        ({"repository": str(repository.root), "range": "--output=x"}, "got: '--output=x'"),
    ]
    for job, complaint in cases:
        with pytest.raises(JobFailed) as caught:
            await desk.review(quality, job)
        assert complaint in str(caught.value)
    assert desk.context.asked == []


async def test_the_first_commit_has_a_hint(quality: LoadedRole, tmp_path: Path) -> None:
    """Where there is only one commit, the error says why it cannot be reviewed."""
    repository = GitRepository.made(tmp_path / "project", {"x": "x\n"})
    with pytest.raises(JobFailed, match="a shallow clone"):
        await Desk(tmp_path).review(quality, {"repository": str(repository.root)})


async def test_equal_commits_are_an_empty_review(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path
) -> None:
    """A range in which nothing has changed is no error, and asks nobody."""
    desk = Desk(tmp_path)
    job = {"repository": str(repository.root), "range": "main"}
    review = await desk.review(quality, job)
    assert (review.findings, desk.context.asked) == ([], [])
    assert review.summary.startswith("nothing has changed between ")


HOSTILE = {
    "we ird/ünï 'q\".py": "print(undefined_one)\n",
    "--help.py": "print(undefined_two)\n",
    "crlf.py": "x = 1\r\nprint(undefined_three)\r\n",
    "end.py": "print(undefined_four)",
}


async def test_any_name_can_be_linted(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path
) -> None:
    """Spaces, quotes, letters of any language, names like options, CRLF, no end of line."""
    repository.commit(HOSTILE)
    review = await Desk(tmp_path).review(quality, {"repository": str(repository.root)})
    found = {one.file: one.title for one in review.findings}
    assert found == {
        name: f"Undefined name `undefined_{number}`"
        for name, number in zip(HOSTILE, ("one", "two", "three", "four"), strict=True)
    }


async def test_files_that_cannot_be_parsed(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path
) -> None:
    """A file that cannot be parsed is an error at the changed line that is to blame."""
    repository.commit(
        {"d.json": '{\n "a": 1,\n "b": 2\n}\n', "e.toml": "a = 1\n", "f.py": "x = [\n1,\n]\n"}
    )
    repository.commit(
        {
            # Only a line was removed from it: there is no changed line to point at.
            "d.json": '{\n "a": 1,\n}\n',
            "e.toml": "a = 1\nb = \n",
            "f.py": "x = (\n1,\n]\n",
            "tsconfig.json": "// comment\n{}\n",
        }
    )
    review = await Desk(tmp_path).review(quality, {"repository": str(repository.root)})
    found = {one.file: (one.rule_id, one.start, one.title) for one in review.findings}
    assert found == {
        "e.toml": ("toml/syntax", 2, "Invalid value"),
        "f.py": ("ruff/invalid-syntax", 1, found["f.py"][2]),
    }
    assert found["f.py"][2].startswith("line 3: ")


async def test_links_and_submodules_are_not_followed(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path
) -> None:
    """What a link leads to is not linted; a submodule that moved is left out, and said to be."""
    (tmp_path / "secret.py").write_text("print(secret)\n")
    (repository.root / "link.py").symlink_to(tmp_path / "secret.py")
    repository.commit({})
    commit = repository.git("rev-parse", "HEAD")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},sub")
    repository.git("commit", "--quiet", "-m", "Move it")
    job = {"repository": str(repository.root), "range": "HEAD~2"}
    review = await Desk(tmp_path).review(quality, job)
    assert (review.findings, review.linted) == ([], [])
    assert [(one.file, one.why.partition(":")[0]) for one in review.left_out] == [
        ("sub", "a submodule")
    ]


async def test_large_changes_say_what_was_left_out(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path
) -> None:
    """Small files are shown whole, large ones in part, generated ones not; each is said."""
    repository.commit(
        {
            "small.txt": "small\n",
            "large.txt": "".join(f"line {number}\n" for number in range(20_000)),
            "long.txt": "x" * 1000 + "\n",
            "uv.lock": "lock\n",
            "b.bin": b"\0",
        }
    )
    desk = Desk(tmp_path)
    review = await desk.review(quality, {"repository": str(repository.root)})
    left_out = {one.file: (one.why, one.lines) for one in review.left_out}
    assert left_out.keys() == {"large.txt", "long.txt", "uv.lock", "b.bin"}
    assert left_out["uv.lock"] == ("generated", 1)
    why, lines = left_out["large.txt"]
    first = 20_000 - lines + 1
    assert why == f"too large: what follows from line {first} on was not shown"
    assert f"{first - 1:>6} +line {first - 2}\n" in f"{desk.prompt}\n"
    assert "     1 +small" in desk.prompt
    assert len(desk.prompt) < 200_000


def worktrees(repository: GitRepository) -> int:
    """How many working trees the repository has."""
    return len(repository.git("worktree", "list").splitlines())


class Held(LocalSandbox):
    """A sandbox in which commands never end."""

    def __init__(self) -> None:
        super().__init__("plain")
        self.folders: list[Path] = []
        self.entered = anyio.Event()

    async def run(self, command: str | Sequence[str], *, folder: Path, **more: Any) -> Ran:
        """Say where it is, and wait for ever."""
        self.folders.append(folder)
        self.entered.set()
        await anyio.sleep_forever()
        raise AssertionError


async def test_nothing_is_left_behind_when_cancelled(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path
) -> None:
    """A review that is cancelled while linters run takes its working tree away."""
    sandbox = Held()
    desk = Desk(tmp_path, sandbox=sandbox)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(desk.review, quality, {"repository": str(repository.root)})
        await sandbox.entered.wait()
        assert sandbox.folders[0].is_relative_to(desk.folder)
        assert await asyncio.to_thread(worktrees, repository) == 2
        tasks.cancel_scope.cancel()
    assert worktrees(repository) == 1
    assert not sandbox.folders[0].exists()


async def test_a_working_tree_left_by_a_crash_is_made_whole(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path
) -> None:
    """A run that was killed while it checked out leaves nothing that the next one trusts."""
    desk = Desk(tmp_path)
    left = desk.folder.resolve() / "worktrees" / desk.context.job_id
    repository.git("worktree", "add", "--quiet", "--detach", str(left))
    (left / "a.py").unlink()
    (left / "ruff.toml").write_text("exclude = ['a.py']\n")
    review = await desk.review(quality, {"repository": str(repository.root)})
    assert [one.rule_id for one in review.findings] == ["ruff/F821"]
    assert worktrees(repository) == 1


class Breaking(LocalSandbox):
    """A sandbox in which a command destroys the working tree it runs in."""

    async def run(self, command: str | Sequence[str], *, folder: Path, **more: Any) -> Ran:
        """Run it, and leave no working tree."""
        ran = await super().run(command, folder=folder, **more)
        await super().run(f"rm -rf {folder}; touch {folder}", folder=folder.parent)
        return ran


async def test_a_folder_that_cannot_be_removed_is_no_failure(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path
) -> None:
    """What was found is told though the working tree cannot be taken away."""
    desk = Desk(tmp_path, sandbox=Breaking("plain"))
    review = await desk.review(quality, {"repository": str(repository.root)})
    assert [one.rule_id for one in review.findings] == ["ruff/F821"]


class Missing(LocalSandbox):
    """A machine without ruff."""

    def __init__(self, ran: Ran) -> None:
        super().__init__("plain")
        self._ran = ran

    async def run(self, command: str | Sequence[str], *, folder: Path, **more: Any) -> Ran:
        """Run anything but ruff."""
        if "check" in command:
            return self._ran
        return await super().run(command, folder=folder, **more)


@pytest.mark.parametrize(
    ("ran", "error"),
    [
        (Ran(code=1, output="", errors="x\nNo module named ruff\n"), "No module named ruff"),
        (Ran(code=-9, output="", timed_out=True), "it took more than 120 s"),
        (Ran(code=2, output=""), "it ended with 2"),
        (Ran(code=0, output='{"code": "F821"}'), "cannot read what it printed"),
    ],
)
async def test_without_ruff_syntax_is_checked(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path, ran: Ran, error: str
) -> None:
    """Where ruff cannot be used, that is said, and the syntax is checked at least."""
    repository.commit({"a.py": f"{BEFORE}print(1\n"})
    review = await Desk(tmp_path, sandbox=Missing(ran)).review(
        quality, {"repository": str(repository.root)}
    )
    assert [one.linter for one in review.linted] == ["ruff", "python"]
    assert error in review.linted[0].error
    assert [(one.rule_id, one.start) for one in review.findings] == [("python/syntax", 3)]
    assert "ruff could not be used" in review.summary


async def test_fingerprints_survive_moved_lines(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path
) -> None:
    """The same finding has the same fingerprint after lines have come before it."""
    first = await Desk(tmp_path).review(quality, {"repository": str(repository.root)})
    repository.commit({"a.py": f"import os  # noqa\n\n\n{BUGGY}"})
    job = {"repository": str(repository.root), "range": "HEAD~2"}
    second = await Desk(tmp_path).review(quality, job)
    (one,), (two,) = first.findings, second.findings
    assert (one.start, two.start) == (6, 9)
    assert one.fingerprint == two.fingerprint


async def test_a_later_run_asks_the_same(
    quality: LoadedRole, repository: GitRepository, tmp_path: Path
) -> None:
    """After a crash neither a moved branch nor another linter changes what the model is asked."""
    record: dict[str, Any] = {}

    class Recorded(ScriptedContext):
        async def record(self, name: str, call: Any) -> Any:
            if name not in record:
                record[name] = await call()
            return record[name]

    prompts: list[Any] = []
    for sandbox in (LocalSandbox("plain"), None):
        context = Recorded([NOTHING], sandbox=sandbox, folder=Desk(tmp_path).folder)
        await run_role(quality.role_class, {"repository": str(repository.root)}, context=context)
        prompts.append(context.asked[0].prompt)
        repository.commit({"later.py": "print(later)\n"})
    assert prompts[0] == prompts[1]
    assert sys.executable not in str(record), "no path of this machine is kept"
