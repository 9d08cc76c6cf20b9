"""The house's rules that no other tool checks; the numbers are those of the project's habits.

Layers are import-linter's, style and size of functions ruff's, types mypy's and pyright's.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from statistics import quantiles

import pytest

import supervisor

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "supervisor"


def files(*folders: str) -> list[Path]:
    """The Python files below some folders of the project."""
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    )


def named(path: Path) -> str:
    """A file's name for people, and for test ids."""
    return path.relative_to(ROOT).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every module that is imported anywhere in a file, with its line; those beside it left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.lineno, node.module or ""


CODE = files("supervisor", "roles", "benchmarks")
TESTS = files("tests")
PACKAGES = sorted(path.parent for path in HOUSE.rglob("__init__.py") if path.parent != HOUSE)

# -- rule 1: folders ------------------------------------------------------------------------------


@pytest.mark.parametrize("package", PACKAGES, ids=named)
def test_package_answers_one_question(package: Path) -> None:
    """A folder is there for one question, and says so in at most ten lines."""
    text = ast.get_docstring(parsed(package / "__init__.py")) or ""
    assert "?" in text.partition("\n")[0], "expected the first line to ask the folder's question"
    assert len(text.splitlines()) <= 10


# -- rules 2 and 3: sizes -------------------------------------------------------------------------


def test_files_hold_one_noun() -> None:
    """No file of code is longer than 500 lines, no test file longer than 800."""
    long = [
        f"{named(path)}: {lines} lines"
        for paths, most in ((CODE, 500), (TESTS, 800))
        for path in paths
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > most
    ]
    assert long == []


def test_functions_are_short() -> None:
    """Nine of ten functions have at most 30 lines, without their docstring."""
    lengths = [
        length(node)
        for path in files("supervisor", "roles")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert quantiles(lengths, n=10)[-1] <= 30


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function, its docstring left out."""
    doc = function.body[0] if ast.get_docstring(function) else None
    documented = (doc.end_lineno or 0) - doc.lineno + 1 if doc else 0
    return (function.end_lineno or 0) - function.lineno + 1 - documented


# -- rule 5: deciding is pure ---------------------------------------------------------------------

PURE = [
    *("errors.py", "limits.py", "messages.py", "scheduler/*.py", "broker/verdict.py"),
    *("quota/[!p_]*.py", "quota/pause.py", "quota/pace.py"),
    *("upstream/failures.py", "upstream/retry.py", "upstream/outcome.py", "upstream/usage.py"),
    *("supervision/restart.py", "config/consistency.py"),
]
"""Files that decide, by pattern; whoever calls a module "Pure" in its docstring is checked too."""

EFFECTS = {
    *("aiolimiter", "anyio", "asyncio", "httpx", "logging", "socket", "sqlite3", "structlog"),
    *("subprocess", "threading", "time"),
}


def pure_files() -> list[Path]:
    """The files that must be pure: by pattern, or by their own word."""
    listed = {path for pattern in PURE for path in HOUSE.glob(pattern)}
    for path in files("supervisor"):
        if re.search(r"\bPure\b", ast.get_docstring(parsed(path)) or ""):
            listed.add(path)
    return sorted(listed)


@pytest.mark.parametrize("path", pure_files(), ids=named)
def test_deciding_is_pure(path: Path) -> None:
    """What decides takes `now` and returns a decision: no loop, clock, log or I/O."""
    tree = parsed(path)
    effects = [
        f"line {line}: imports {name}"
        for line, name in imports(tree)
        if name.partition(".")[0] in EFFECTS or name == "supervisor.clock"
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith | ast.Await):
            effects.append(f"line {node.lineno}: waits")
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id in {"open", "print", "input"}:
            effects.append(f"line {called.lineno}: {called.id}()")
    assert effects == []


def test_pure_files_are_found() -> None:
    """The patterns above still match something, so that the test above tests something."""
    assert [pattern for pattern in PURE if not list(HOUSE.glob(pattern))] == []


# -- rule 6: importing does nothing ---------------------------------------------------------------

IMPORTER = """
import importlib, json, sys, threading

# It starts the system's linker to see which libraries there are; that is not ours to mend.
import asyncssh

effects = []

def watch(event, args):
    if event in {"socket.__new__", "socket.connect", "subprocess.Popen", "sqlite3.connect"}:
        effects.append(event)
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        effects.append(f"open {args[0]} for writing")
    if event in {"os.mkdir", "os.remove", "os.rename", "os.putenv"}:
        effects.append(f"{event} {args}")

sys.addaudithook(watch)
for name in json.loads(sys.argv[1]):
    before = len(effects)
    importlib.import_module(name)
    effects[before:] = [f"{name}: {effect}" for effect in effects[before:]]
effects += [f"thread {thread.name}" for thread in threading.enumerate()[1:]]
json.dump(effects, sys.stdout)
"""


@pytest.mark.slow
def test_importing_does_nothing(tmp_path: Path) -> None:
    """No module starts a thread, opens a socket or writes a file because it is imported."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in files("supervisor")
        if path.name != "__main__.py"
    ]
    done = subprocess.run(
        [sys.executable, "-B", "-c", IMPORTER, json.dumps(modules)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    assert list(tmp_path.iterdir()) == []


CHANGERS = {
    *("add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem"),
    *("remove", "setdefault", "sort", "update"),
}


def test_no_mutable_module_state() -> None:
    """What belongs to a running process belongs to an object that somebody made."""
    changed = [
        f"{named(path)}:{line}: {what}"
        for path in files("supervisor")
        for line, what in changes(parsed(path))
    ]
    assert changed == []


def changes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Where a module changes its own names after they were assigned."""
    names = {name for node in tree.body for name in assigned(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield node.lineno, "global"
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            yield from ((node.lineno, f"{name} changes") for name in known(node.value, names))
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in CHANGERS
        ):
            owners = known(node.func.value, names)
            yield from ((node.lineno, f"{name} changes") for name in owners)


def assigned(node: ast.stmt) -> Iterable[str]:
    """The names that a statement of a module assigns."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def known(node: ast.expr, names: set[str]) -> Iterable[str]:
    """The module's own name that an expression is, if it is one."""
    return [node.id] if isinstance(node, ast.Name) and node.id in names else []


# -- rule 8: the public API -----------------------------------------------------------------------


def test_public_api_is_exact() -> None:
    """Everything public in `supervisor` is in `__all__`, in order, and the other way round."""
    (declared,) = (
        node.body for node in parsed(HOUSE / "__init__.py").body if isinstance(node, ast.If)
    )
    public = {
        alias.asname or alias.name
        for node in declared
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    exported = [str(name) for name in vars(supervisor).get("__all__", [])]
    assert exported == sorted(exported)
    assert set(exported) == public
    assert [name for name in exported if not hasattr(supervisor, name)] == []


def test_roles_import_from_supervisor_only() -> None:
    """A role is written against the public API and keeps working when the house is rebuilt."""
    inner = [
        f"{named(path)}:{line}: {name}"
        for path in files("roles")
        for line, name in imports(parsed(path))
        if name.startswith("supervisor.")
    ]
    assert inner == []


def test_the_house_does_not_use_its_own_facade() -> None:
    """Inside, each name comes from where it is made; the public API is for those outside."""
    modules = {child.stem for child in HOUSE.iterdir()}
    used = [
        f"{named(path)}:{node.lineno}: {alias.name}"
        for path in files("supervisor")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and node.module == "supervisor"
        for alias in node.names
        if alias.name not in modules
    ]
    assert used == []


# -- rule 14: events ------------------------------------------------------------------------------

LEVELS = {"critical", "debug", "error", "exception", "info", "warning"}
EVENT = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*")
LOGGERS = {"_log", "log", "logger", "_logger"}


def logged() -> Iterator[tuple[str, ast.expr]]:
    """Every call of a logger in the house: where it is, and its event."""
    for path in files("supervisor"):
        for node in ast.walk(parsed(path)):
            called = node.func if isinstance(node, ast.Call) else None
            if not isinstance(node, ast.Call) or not isinstance(called, ast.Attribute):
                continue
            owner = called.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if called.attr in LEVELS and name in LOGGERS and node.args:
                yield f"{named(path)}:{node.lineno}", node.args[0]


def events() -> set[str]:
    """The events that the code logs by a literal name."""
    return {
        event.value
        for _, event in logged()
        if isinstance(event, ast.Constant) and isinstance(event.value, str)
    }


def test_events_have_stable_dotted_names() -> None:
    """An event is `package.what_happened`: a literal that can be searched for."""
    wrong = [
        place
        for place, event in logged()
        if isinstance(event, ast.JoinedStr)
        or (isinstance(event, ast.Constant) and not EVENT.fullmatch(str(event.value)))
    ]
    assert wrong == []


def test_events_are_documented() -> None:
    """docs/events.md lists the events that the code can log, all of them and no others."""
    page = (ROOT / "docs" / "events.md").read_text("utf-8")
    listed = re.findall(r"^(?:\||-|#+) *`([a-z_]+\.[a-z_]+)`", page, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert sorted(listed) == sorted(events())


# -- rule 24: names -------------------------------------------------------------------------------

VAGUE = re.compile(
    r"(.*_)?(utils?|helpers?|common|managers?|misc|stuff|things|base|lib|tools_?v?\d|v\d+|new|old)"
)


def test_names_are_plain() -> None:
    """A file's name says what is in it."""
    vague = [named(path) for path in CODE + TESTS if VAGUE.fullmatch(path.stem)]
    assert vague == []


# -- what is installed ----------------------------------------------------------------------------


def test_constraints_hold_names_and_versions_only() -> None:
    """The pinned versions name no host and no path."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    strange = [
        line
        for line in lines
        if not line.startswith("#") and not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line)
    ]
    assert strange == []


def requirements() -> dict[str, set[str]]:
    """The names of the declared dependencies: of the package, and of its development."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = {"run": project["dependencies"], **project["optional-dependencies"]}
    return {
        group: {normal(re.split(r"[\[ ;<>=~!]", entry)[0]) for entry in entries}
        for group, entries in groups.items()
    }


def normal(name: str) -> str:
    """A distribution's name in its normal form."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned() -> None:
    """Two fresh machines install the same versions."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = {normal(line.partition("==")[0]) for line in lines}
    declared = requirements()
    assert (declared["run"] | declared["dev"]) - pinned == set()


def test_every_dependency_has_a_reason() -> None:
    """Whoever adds a dependency says in one line what for."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    for block in re.findall(
        r"^(?:dependencies|dev) = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE
    ):
        silent = [line for line in block.splitlines() if not re.search(r'",\s+# \w', line)]
        assert silent == []


def test_every_import_is_declared() -> None:
    """The package imports nothing that is only there because something else needs it."""
    distributions = packages_distributions()
    # A part of pydantic with a name of its own.
    declared = requirements()["run"] | {"pydantic-core"}
    strangers = {
        f"{named(path)} imports {name}"
        for path in files("supervisor", "roles")
        for _, name in imports(parsed(path))
        if (top := name.partition(".")[0]) not in sys.stdlib_module_names
        and top not in {"supervisor", ""}
        and not {normal(each) for each in distributions.get(top, [])} & declared
    }
    assert sorted(strangers) == []
