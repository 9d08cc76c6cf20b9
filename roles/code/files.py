"""The files of a worktree as the model may see and change them: by lines, and nothing outside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .edit import EditRefused, broken, replaced

_MOST_LINES = 400
_MOST_CHARACTERS = 16_000
_MOST_ENTRIES = 200
_LARGEST = 2_000_000


@dataclass(frozen=True, slots=True)
class Files:
    """The files below a folder. All of it blocks: call it in a thread.

    Attributes:
        root: The folder, with all links resolved.
    """

    root: Path

    def read(self, path: str, *, start: int = 1, end: int | None = None) -> str:
        """Numbered lines of a file, or the names in a folder.

        Args:
            path: Relative to the root.
            start: First line, from 1.
            end: Last line; None for as many as are shown at once.

        Raises:
            EditRefused: There is no such text.
        """
        place = self._inside(path)
        if place.is_dir():
            return self._listed(place)
        lines = self._text(place, path).splitlines()
        first = max(start, 1)
        last = min(len(lines), first + _MOST_LINES - 1, end or len(lines))
        shown: list[str] = []
        room = _MOST_CHARACTERS
        for number in range(first, last + 1):
            line = f"{number:>5} {lines[number - 1]}"[: max(room, 0)]
            room -= len(line) + 1
            if room < 0:
                last = number - 1
                break
            shown.append(line)
        if last < len(lines):
            shown.append(f"… the file has {len(lines)} lines; read on from line {last + 1}")
        return "\n".join(shown) or "(the file is empty)"

    def replace(self, path: str, *, old: str, new: str) -> str:
        """Change one place of a file, or make a new file where `old` is empty.

        Raises:
            EditRefused: It cannot be done, or would break the file.
        """
        place = self._inside(path)
        if old:
            before: str | None = self._text(place, path)
            after = replaced(before or "", old=old, new=new)
        elif place.exists():
            raise EditRefused(f"{path} exists: say in old which lines are to be replaced")
        else:
            before, after = None, new
        problem = broken(path, before, after)
        if problem:
            raise EditRefused(f"{path} would be broken by this, so nothing was changed: {problem}")
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("w", encoding="utf-8", newline="") as file:
            file.write(after)
        return f"{path} is written" if before is None else f"{path} is changed"

    def relative(self, path: str) -> str:
        """A path below the root, as seen from there.

        Raises:
            EditRefused: It lies elsewhere.
        """
        return self._inside(path).relative_to(self.root).as_posix()

    def _inside(self, path: str) -> Path:
        try:
            place = (self.root / path).resolve()
        except (OSError, ValueError, RuntimeError) as error:
            raise EditRefused(f"{path!r} is no path: {error}") from error
        if not place.is_relative_to(self.root):
            raise EditRefused(f"{path} lies outside of the repository: expected a relative path")
        if ".git" in place.relative_to(self.root).parts:
            raise EditRefused(f"{path} belongs to git; commits are made when the task is finished")
        return place

    def _text(self, place: Path, path: str) -> str:
        try:
            if place.stat().st_size > _LARGEST:
                raise EditRefused(f"{path} is larger than {_LARGEST} bytes")
            with place.open(encoding="utf-8", newline="") as file:
                return file.read()
        except OSError as error:
            near = self._near(place)
            hint = f"; did you mean {near}?" if near else ""
            raise EditRefused(f"{path}: {error.strerror or error}{hint}") from error
        except UnicodeDecodeError as error:
            raise EditRefused(f"{path} is no UTF-8 text") from error

    def _near(self, place: Path) -> str:
        """A file of the same name elsewhere."""
        for found in sorted(self.root.rglob(place.name)):
            if ".git" not in found.parts:
                return found.relative_to(self.root).as_posix()
        return ""

    def _listed(self, place: Path) -> str:
        names = sorted(
            f"{entry.name}/" if entry.is_dir() else entry.name
            for entry in place.iterdir()
            if entry.name != ".git"
        )
        more = [f"… and {len(names) - _MOST_ENTRIES} more"] if len(names) > _MOST_ENTRIES else []
        return "\n".join([*names[:_MOST_ENTRIES], *more]) or "(the folder is empty)"
