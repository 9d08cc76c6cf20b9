"""Making a project: everything or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.errors import ConfigError
from supervisor.project.project import in_the_way, make_project

FILES = {"README.md": b"hello\n", "roles/code/__init__.py": b"", "roles/memory.py": b"x = 1\n"}


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def open_umask() -> Iterator[None]:
    """New files would be writable for everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_all_files_are_written(tmp_path: Path, open_umask: None) -> None:
    """A project has its files, in folders that are made, and nobody else may write them."""
    make_project(tmp_path / "new" / "team", FILES)
    assert contents(tmp_path / "new" / "team") == FILES
    modes = {path.stat().st_mode & 0o022 for path in (tmp_path / "new").rglob("*")}
    assert modes == {0}


def test_what_is_beside_stays(tmp_path: Path) -> None:
    """A folder with other files in it can become a project."""
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles" / "own.py").write_text("mine\n")
    make_project(tmp_path, FILES)
    assert contents(tmp_path) == {**FILES, "roles/own.py": b"mine\n"}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """The files that are there are named, one a line, and then nothing at all is written."""
    (tmp_path / "README.md").write_text("mine\n")
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles" / "memory.py").symlink_to("nowhere")
    with pytest.raises(ConfigError) as refused:
        make_project(tmp_path, FILES)
    assert str(refused.value).splitlines() == [
        f"expected none of the project's files in {tmp_path}, got 2:",
        "  README.md",
        "  roles/memory.py",
        "nothing was changed: name another folder (init FOLDER), or move them away",
    ]
    assert contents(tmp_path) == {"README.md": b"mine\n"}


@pytest.mark.parametrize(("count", "named", "more"), [(6, 6, ""), (7, 5, "  and 2 more")])
def test_of_very_many_files_a_handful_is_named(
    tmp_path: Path, count: int, named: int, more: str
) -> None:
    """However many files are in the way, the error names a few and counts the others."""
    files = {f"{number}.py": b"" for number in range(count)}
    make_project(tmp_path, files)
    with pytest.raises(ConfigError, match=f"got {count}:") as refused:
        make_project(tmp_path, files)
    lines = str(refused.value).splitlines()[1:-1]
    assert lines == [f"  {name}" for name in sorted(files)[:named]] + ([more] if more else [])


def test_a_file_where_a_folder_goes_is_in_the_way(tmp_path: Path) -> None:
    """A file called like a folder of the project is named by itself."""
    (tmp_path / "roles").write_text("")
    assert in_the_way(tmp_path, FILES) == ["roles"]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """When a file cannot be written, those before it are gone again, and their folders."""
    (tmp_path / "keep.txt").write_text("")
    with pytest.raises(ConfigError, match=r"cannot write .*too long"):
        make_project(tmp_path / "team", {**FILES, f"z/{'n' * 300}": b""})
    assert [path.name for path in tmp_path.rglob("*")] == ["keep.txt"]


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle takes back what was written."""
    real = os.open

    def interrupted(path: Path, flags: int, mode: int = 0o777) -> int:
        if path.name == "memory.py":
            raise KeyboardInterrupt
        return real(path, flags, mode)

    monkeypatch.setattr("os.open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_project(tmp_path / "team", FILES)
    assert list(tmp_path.iterdir()) == []
