"""One plugin: loaded and known to be usable, or refused with file, line and what was expected."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from supervisor.errors import PluginInvalid
from supervisor.loading.discovery import Candidate
from supervisor.loading.plugin import LoadedRole, load, unload
from tests.loading.plugins import GOOD, LONG_AGO, private_modules, write

HEAD = "from supervisor.role import Context, Role\n"


def load_file(roles: Path, code: str) -> LoadedRole:
    """Load `code` as the role `demo`, from a file."""
    return load(Candidate("demo", write(roles, "demo.py", code)))


def load_folder(roles: Path, **files: str) -> LoadedRole:
    """Load files as the role `demo`, from a folder."""
    for name, code in files.items():
        write(roles, f"demo/{name}.py", code)
    return load(Candidate("demo", roles / "demo"))


def refuse(roles: Path, code: str) -> PluginInvalid:
    """Load `code`, which must be refused and leave nothing behind."""
    before = private_modules()
    with pytest.raises(PluginInvalid) as caught:
        load_file(roles, code)
    assert private_modules() == before
    return caught.value


def test_a_file_is_loaded(roles: Path) -> None:
    """A file with one role gives its class, its types and a digest."""
    role = load_file(roles, GOOD)
    assert (role.name, role.plugin, role.path) == ("demo", "demo", roles / "demo.py")
    assert (role.input_type, role.output_type) == (str, str)
    assert role.role_class.__name__ == "Echo"
    assert len(role.digest) == 64
    assert asyncio.run(role.role_class().handle("hi", None)) == "hi"  # type: ignore[arg-type]


def test_a_folder_imports_relatively(roles: Path) -> None:
    """A folder's modules import each other relatively, also when the import comes late."""
    role = load_folder(
        roles,
        __init__="""\
            from .work import Worker
        """,
        work="""\
            from supervisor.role import Context, Role

            from .words import GREETING

            class Worker(Role[str, str]):
                async def handle(self, job: str, ctx: Context) -> str:
                    from .late import punctuate
                    return punctuate(f"{GREETING} {job}")
        """,
        words="GREETING = 'hello'\n",
        late="def punctuate(text): return text + '!'\n",
    )
    assert asyncio.run(role.role_class().handle("you", None)) == "hello you!"  # type: ignore[arg-type]
    assert not (roles / "demo" / "__pycache__").exists()


def test_two_versions_live_side_by_side(roles: Path) -> None:
    """A changed plugin is another class; the old one goes on working until it is unloaded."""
    old = load_folder(roles, __init__=GOOD + "from .word import WORD\n", word="WORD = 'one'\n")
    path = roles / "demo" / "word.py"
    os.utime(path, (LONG_AGO, LONG_AGO))
    path.write_text("WORD = 'two'\n")
    os.utime(path, (LONG_AGO, LONG_AGO))
    new = load(Candidate("demo", roles / "demo"))
    assert old.digest != new.digest
    assert [_word(old), _word(new)] == ["one", "two"]
    unload(old)
    assert old.module not in sys.modules
    assert _word(new) == "two"
    unload(new)
    assert private_modules() == set()


def _word(role: LoadedRole) -> str:
    word: str = vars(sys.modules[role.module])["WORD"]
    return word


def test_the_same_version_can_be_loaded_twice(roles: Path) -> None:
    """Two loads of one version share nothing."""
    one, two = load_file(roles, GOOD), load_file(roles, GOOD)
    assert one.digest == two.digest
    assert one.module != two.module
    assert one.role_class is not two.role_class


def test_types_are_read_without_running_the_other_annotations(roles: Path) -> None:
    """Models and deferred annotations are understood; names for type checkers only do no harm."""
    role = load_file(
        roles,
        """\
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from pydantic import BaseModel
        from supervisor.role import Role
        if TYPE_CHECKING:
            from supervisor.role import Context

        class Diff(BaseModel):
            text: str

        class Review(Role[Diff, "list[int]"]):
            name = "reviewer"
            priority = 0
            share = 1
            async def handle(self, job: Diff, ctx: Context) -> list[int]:
                return []
        """,
    )
    assert role.name == "reviewer"
    assert role.output_type == list[int]
    adapter: TypeAdapter[Any] = TypeAdapter(role.input_type)
    assert adapter.validate_python({"text": "x"}).text == "x"


def test_a_result_may_be_left_open(roles: Path) -> None:
    """A role that does not say what it returns may return anything."""
    role = load_file(
        roles, HEAD + "class A(Role):\n    async def handle(self, job: int, ctx): ...\n"
    )
    assert role.output_type is Any


def test_helpers_beside_the_role_are_no_roles(roles: Path) -> None:
    """Imported roles, abstract bases and private classes do not count."""
    role = load_folder(
        roles,
        __init__="""\
            from supervisor.role import Role
            from supervisor.testing import VirtualLoop
            from abc import abstractmethod

            class Base(Role[str, str]):
                async def handle(self, job: str, ctx) -> str:
                    return await self.work(job)
                @abstractmethod
                async def work(self, job: str) -> str: ...

            class _Draft(Base):
                async def work(self, job: str) -> str:
                    return job

            class Final(_Draft):
                pass
        """,
    )
    assert role.role_class.__name__ == "Final"


@pytest.mark.parametrize(
    ("code", "line", "text"),
    [
        ("x = 1\ndef broken(:\n", 2, "the code cannot be compiled: invalid syntax"),
        ("x = 1\n\n\nimport not_there\n", 4, "an import failed: No module named 'not_there'"),
        ("from .words import x\n", 1, "only a folder can import relatively"),
        ("def f():\n    return 1 / 0\n\nf()\n", 2, "ZeroDivisionError while it was imported"),
        ("import json\njson.loads('{')\n", 2, "JSONDecodeError while it was imported"),
        ("import sys\nsys.exit(3)\n", 2, r"the module called sys\.exit\(3\)"),
        ("import asyncio\nraise asyncio.CancelledError\n", 2, "CancelledError while it was"),
        ("x = '\0'\n", None, "null byte"),
        (
            HEAD + "class A(Role):\n    pass\n\nA.__name__ = 'B'\n",
            0,
            "expected B to define handle",
        ),
        ("x = 1\n", 0, "expected one subclass of Role, found none"),
    ],
)
def test_code_that_does_not_import_is_refused(
    roles: Path, code: str, line: int | None, text: str
) -> None:
    """Whatever happens while a plugin is imported becomes one complaint with the plugin's line."""
    error = refuse(roles, code)
    assert error.file == "roles/demo.py"
    assert line in (None, error.line)
    with pytest.raises(PluginInvalid, match=text):
        raise error


def test_an_error_in_a_module_of_a_folder_names_that_file(roles: Path) -> None:
    """A complaint names the file of the folder that it is about."""
    with pytest.raises(PluginInvalid, match=r"^roles/demo/words\.py:2: the code cannot be") as one:
        load_folder(roles, __init__="from . import words\n", words="a = 1\nb = = 2\n")
    assert one.value.line == 2
    with pytest.raises(PluginInvalid, match=r"^roles/demo/words\.py:1: ZeroDivisionError"):
        load_folder(roles, __init__="from . import words\n", words="1 / 0\n")
    with pytest.raises(PluginInvalid, match=r"^roles/demo/work\.py:4: expected priority"):
        load_folder(
            roles,
            __init__="from .work import Worker\n",
            work="""\
                from supervisor.role import Role

                class Worker(Role):
                    priority = -1
                    async def handle(self, job: str, ctx): ...
            """,
        )
    assert private_modules() == set()


def test_a_broken_library_is_told_at_the_import(
    roles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A syntax error in somebody else's module names the plugin's line that imports it."""
    write(tmp_path, "somebody_elses.py", "x = = 1\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    error = refuse(roles, "x = 1\nimport somebody_elses\n")
    assert error.line == 2
    assert "SyntaxError while it was imported: invalid syntax (somebody_elses.py" in str(error)


def test_a_missing_module_of_a_folder_is_refused(roles: Path) -> None:
    """A relative import of what is not there names the line of the import."""
    with pytest.raises(PluginInvalid, match=r"__init__\.py:1: an import failed: No module named"):
        load_folder(roles, __init__="from .missing import x\n")


def test_two_roles_in_one_file_are_refused(roles: Path) -> None:
    """A file with two roles is refused at the second one, with both names."""
    error = refuse(roles, GOOD + "\nclass Second(Echo):\n    pass\n")
    assert error.line == 8
    assert "expected one subclass of Role, found 2: Echo, Second" in str(error)


HANDLE = "    async def handle(self, job: str, ctx: Context) -> str: ...\n"


@pytest.mark.parametrize(
    ("body", "line", "text"),
    [
        ("    pass\n", 2, "expected A to define handle"),
        ("    priority = 100\n" + HANDLE, 3, "whole number from 0 .* to 99, got: 100"),
        ("    priority = True\n" + HANDLE, 3, "got: True"),
        ("    priority = 'high'\n" + HANDLE, 3, "got: 'high'"),
        ("    share: float = 1.5\n" + HANDLE, 3, "share to be a number from 0 to 1, got: 1.5"),
        (HANDLE + "    concurrency = 0\n", 4, "a whole number from 1 up, got: 0"),
        (HANDLE + "    deferred = 'yes'\n", 4, "deferred to be true or false, got: 'yes'"),
        (
            "    name = 'Big Boss'\n" + HANDLE,
            3,
            "expected name to be lower-case .* got: 'Big Boss'",
        ),
        ("    description = 3\n" + HANDLE, 3, "expected description to be a text, got: 3"),
        (HANDLE + "    def start(self): ...\n", 4, "expected start to be async"),
        (
            HANDLE + "    def __init__(self, x): ...\n",
            4,
            r"A\(\) to need no arguments, got: missing",
        ),
        ("    def handle(self, job: str, ctx): ...\n", 3, "an async function, it is not async"),
        (
            "    async def handle(self, job: str, ctx):\n        yield 1\n",
            3,
            "it is an async generator",
        ),
        ("    async def handle(self, job: str): ...\n", 3, r"take \(self, job, ctx\), got: "),
        ("    async def handle(self, job: str, ctx, *, x): ...\n", 3, r"got: .*\*, x\)"),
        ("    async def handle(self, job, ctx): ...\n", 3, r"what the job \(job\) is, found no"),
        ("    async def handle(self, job: 'Nope', ctx): ...\n", 3, "got: Nope .*NameError"),
        ("    async def handle(self, job: Role, ctx): ...\n", 3, "that pydantic can validate"),
        ("    async def handle(self, job: str, ctx) -> Role: ...\n", 3, "of the result to be"),
        ("    async def handle(self, job: Input, ctx): ...\n", 3, "stands for any type"),
        ("    @staticmethod\n    async def handle(a: str, b): ...\n", 4, "take"),
    ],
)
def test_a_class_that_is_no_usable_role_is_refused(
    roles: Path, body: str, line: int, text: str
) -> None:
    """A class that breaks the contract is refused at the line that is to be mended."""
    error = refuse(
        roles, f"from supervisor.role import Context, Role, Input\nclass A(Role):\n{body}"
    )
    with pytest.raises(PluginInvalid, match=text):
        raise error
    assert error.line == line


def test_a_class_that_explodes_when_looked_at_is_refused(roles: Path) -> None:
    """Foreign code that runs while a class is examined cannot stop the others either."""
    error = refuse(
        roles,
        HEAD
        + """\
class Odd:
    def __repr__(self): raise ValueError("no")

class A(Role):
    priority = Odd()
    async def handle(self, job: str, ctx): ...
""",
    )
    assert "it cannot be examined: ValueError: no" in str(error)


def test_a_world_writable_file_is_not_executed(roles: Path) -> None:
    """What everybody may write is refused before a line of it runs."""
    path = write(roles, "demo.py", "raise AssertionError('executed')\n")
    path.chmod(0o646)
    with pytest.raises(PluginInvalid, match=r"mode 646.*chmod o-w roles/demo\.py"):
        load(Candidate("demo", path))


def test_a_file_that_vanishes_is_refused(roles: Path) -> None:
    """A plugin that was deleted between finding and loading is only a broken plugin."""
    with pytest.raises(PluginInvalid, match=r"roles/demo\.py: cannot be read: .*No such file"):
        load(Candidate("demo", roles / "demo.py"))


def test_ctrl_c_during_an_import_is_not_swallowed(roles: Path) -> None:
    """A KeyboardInterrupt ends the process, whatever is being imported."""
    with pytest.raises(KeyboardInterrupt):
        load_file(roles, "raise KeyboardInterrupt\n")
    assert private_modules() == set()


@pytest.mark.slow
def test_importing_the_loader_changes_nothing() -> None:
    """Only loading a plugin touches the interpreter's import machinery."""
    code = (
        "import sys; n = len(sys.meta_path); import supervisor.loading.plugin; "
        "sys.exit(len(sys.meta_path) - n)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
