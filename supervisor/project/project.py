"""Makes a project: everything or nothing, and nothing over what is there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from supervisor.errors import ConfigError

_NAMED = 5
"""Most files that an error names."""


def make_project(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a project.

    Args:
        folder: The project; made where it is missing.
        files: What to write, by the path in it.

    Raises:
        ConfigError: Some are there already, or cannot be written; nothing was changed then.
    """
    there = in_the_way(folder, files)
    if there:
        raise ConfigError(_refusal(folder, there))
    written = _Written()
    try:
        for path, content in files.items():
            written.write(folder / path, content)
    except OSError as error:
        written.undo()
        raise ConfigError(
            f"cannot write {error.filename or folder}: {error.strerror}",
            hint="nothing was changed: name a folder that this user may write to",
        ) from error
    except BaseException:
        written.undo()
        raise


def _refusal(folder: Path, there: Sequence[str]) -> str:
    """What is in the way, one a line, and what to do; of very many files only the first."""
    named = there if len(there) <= _NAMED + 1 else there[:_NAMED]
    left = len(there) - len(named)
    lines = [
        f"expected none of the project's files in {folder.absolute()}, got {len(there)}:",
        *(f"  {name}" for name in named),
        *([f"  and {left} more"] if left else []),
        "nothing was changed: name another folder (init FOLDER), or move them away",
    ]
    return "\n".join(lines)


def in_the_way(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """What is there already where a project's files would go, by its path in the folder.

    Args:
        folder: The project.
        files: Its files.
    """
    found: set[str] = set()
    for path in files:
        parts = Path(path).parts
        above = [Path(*parts[:depth]) for depth in range(1, len(parts))]
        # A file where a folder is needed is as much in the way as the file itself.
        found |= {
            parent.as_posix()
            for parent in above
            if os.path.lexists(folder / parent) and not (folder / parent).is_dir()
        }
        if os.path.lexists(folder / path):
            found.add(path)
    return sorted(found)


@dataclass(slots=True)
class _Written:
    """What was made so far, in this order."""

    files: list[Path] = field(default_factory=list[Path])
    folders: list[Path] = field(default_factory=list[Path])

    def write(self, path: Path, content: bytes) -> None:
        self._make(path.parent)
        # Not writable for others, whatever the umask: such a role would be refused.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self.files.append(path)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)

    def undo(self) -> None:
        for path in self.files:
            path.unlink(missing_ok=True)
        for folder in reversed(self.folders):
            folder.rmdir()

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make(folder.parent)
            folder.mkdir(mode=0o755)
            self.folders.append(folder)
