"""The files that are shipped: in an installed package beside this module, else in the source tree.

What a project gets of the source tree's own files (roles, settings, …) is mapped into `files/` by
pyproject.toml when the package is built, so that there is one copy of each in the tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from supervisor.errors import ConfigError

OWN = ("README.md", "gitignore", "render.yaml", "requirements.txt")
"""Written for projects; they lie in `files/` in the source tree too."""
MAPPED = ("config.toml", "constraints.txt", ".env.example", ".python-version", "Procfile", "roles")
"""The source tree's own, by their name there and in `files/`."""

_NAMES = {"gitignore": ".gitignore"}
"""Names in a project where they differ: a `.gitignore` in `files/` would hide its neighbours."""


def shipped(version: str) -> Mapping[str, bytes]:
    """The files of a new project, by their path in it.

    Args:
        version: The version that the project is to install.

    Raises:
        ConfigError: This installation lacks some.
    """
    found: dict[str, bytes] = {}
    for name in (*OWN, *MAPPED):
        for path, file in _walk(_find(name), _NAMES.get(name, name)):
            found[path] = file.read_bytes()
    for name in OWN:
        path = _NAMES.get(name, name)
        found[path] = found[path].replace(b"VERSION", version.encode())
    return dict(sorted(found.items()))


def _find(name: str) -> Traversable:
    inside = resources.files("supervisor.project") / "files" / name
    # Beside the package only in a source tree; an installed one is searched for nothing there.
    beside = Path(__file__).parents[2] / name
    for place in (inside, beside):
        if place.is_dir() or place.is_file():
            return place
    raise ConfigError(
        f"this installation lacks the file {name}, expected it at {inside}",
        hint="install grok-supervisor anew, or run `init` from its source tree",
    )


def _walk(place: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    if place.is_file():
        yield path, place
        return
    for child in place.iterdir():
        if not child.name.endswith((".pyc", "~")) and child.name != "__pycache__":
            yield from _walk(child, f"{path}/{child.name}")
