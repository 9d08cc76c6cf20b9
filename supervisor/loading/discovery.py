"""Finds what may be a role in a directory, without running any of it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from supervisor.errors import ConfigError, PluginInvalid

ROLE_NAME = re.compile(r"[a-z][a-z0-9_]*")
NAME_EXPECTED = "lower-case letters, digits and _, beginning with a letter"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file or a folder that should hold a role.

    Attributes:
        name: Its name without `.py`.
        path: `NAME.py`, or the folder `NAME`.
    """

    name: str
    path: Path

    @property
    def is_folder(self) -> bool:
        return self.path.suffix != ".py"

    @property
    def main(self) -> Path:
        """The file that is executed."""
        return self.path / "__init__.py" if self.is_folder else self.path

    def shown(self, file: Path | None = None) -> str:
        """Name a file for people: relative to the parent of the roles directory.

        Args:
            file: A file of this candidate; its main file if left out.
        """
        path = file or self.main
        base = self.path.parent.parent
        return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)


@dataclass(frozen=True, slots=True)
class Found:
    """What a directory holds.

    Attributes:
        candidates: What can be tried.
        broken: What is wrong with the rest.
        present: Names of both; what is missing here has been removed.
    """

    candidates: tuple[Candidate, ...]
    broken: tuple[PluginInvalid, ...]
    present: frozenset[str]


def discover(directory: Path) -> Found:
    """Look for roles: `NAME.py` or `NAME/__init__.py`; what begins with `_` or `.` is skipped.

    Args:
        directory: The roles directory.

    Raises:
        ConfigError: It is not a readable folder.
    """
    directory = directory.absolute()
    try:
        entries = sorted(directory.iterdir())
    except OSError as error:
        raise ConfigError(
            f"expected roles.directory to be a folder, got: {directory} ({error.strerror})"
        ) from error
    possible = [_candidate(path) for path in entries if _looks_like_a_role(path)]
    present = frozenset(one.name for one in possible)
    if _writable_by_all(directory):
        return Found((), (_refusal(directory, directory.name),), present)
    problems = {one: _problem(one, possible) for one in possible}
    return Found(
        candidates=tuple(one for one, problem in problems.items() if problem is None),
        broken=tuple(problem for problem in problems.values() if problem is not None),
        present=present,
    )


def files_of(candidate: Candidate) -> Iterator[Path]:
    """Every folder and file that belongs to a candidate, in a stable order.

    Bytecode and hidden files are left out: they come and go without the role changing.

    Args:
        candidate: What to list.
    """
    yield candidate.path
    if not candidate.is_folder:
        return
    for folder, folders, files in os.walk(candidate.path):
        folders[:] = sorted(name for name in folders if _counts(name))
        yield from (Path(folder, name) for name in sorted((*folders, *files)) if _counts(name))


def digest(candidate: Candidate) -> str:
    """Sum up everything a candidate consists of, so that a change of any file is noticed.

    A file that everybody may write counts as changed against the same file mended: it is refused,
    and must be looked at again once it is mended.

    Args:
        candidate: What to sum up.

    Raises:
        OSError: A file cannot be read, or has just vanished.
    """
    total = sha256()
    for path in files_of(candidate):
        info = path.stat()
        content = path.read_bytes() if stat.S_ISREG(info.st_mode) else b""
        name = path.relative_to(candidate.path.parent).as_posix()
        total.update(f"{name}\0{info.st_mode & stat.S_IWOTH}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def require_safe(candidate: Candidate) -> None:
    """Refuse what everybody on the machine may write: a plugin is executed code.

    Args:
        candidate: What to look at.

    Raises:
        PluginInvalid: It, or a file or folder in it, is world-writable.
    """
    for path in files_of(candidate):
        if _writable_by_all(path):
            raise _refusal(path, candidate.shown(path))


def _looks_like_a_role(path: Path) -> bool:
    if path.name.startswith(("_", ".")):
        return False
    if path.is_dir():
        # A folder without any code is data; one with code but no __init__.py is a mistake.
        return any(path.glob("*.py"))
    return path.suffix == ".py"


def _candidate(path: Path) -> Candidate:
    return Candidate(path.name if path.is_dir() else path.stem, path)


def _problem(candidate: Candidate, possible: Sequence[Candidate]) -> PluginInvalid | None:
    shown = candidate.shown(candidate.path)
    if not ROLE_NAME.fullmatch(candidate.name):
        return PluginInvalid(
            f'expected a name of {NAME_EXPECTED}, got: "{candidate.name}"',
            file=shown,
            hint="rename it; what is not a role can begin with _",
        )
    for twin in possible:
        if twin.name == candidate.name and twin is not candidate:
            return PluginInvalid(
                f'two roles "{candidate.name}": this and {twin.shown(twin.path)}',
                file=shown,
                hint="remove or rename one of them",
            )
    if not candidate.main.is_file():
        return PluginInvalid(
            f"expected the file {candidate.shown()}, found none",
            file=shown,
            hint="add it; what is not a role can begin with _",
        )
    return None


def _writable_by_all(path: Path) -> bool:
    mode = path.stat().st_mode
    # In a sticky folder, such as /tmp, nobody can replace another's files.
    return bool(mode & stat.S_IWOTH) and not (stat.S_ISDIR(mode) and mode & stat.S_ISVTX)


def _refusal(path: Path, shown: str) -> PluginInvalid:
    mode = stat.S_IMODE(path.stat().st_mode)
    return PluginInvalid(
        f"everybody may write it (mode {mode:o}), and what is in it gets executed",
        file=shown,
        hint=f"chmod o-w {shown}",
    )


def _counts(name: str) -> bool:
    return not name.startswith(".") and name != "__pycache__" and not name.endswith((".pyc", "~"))
