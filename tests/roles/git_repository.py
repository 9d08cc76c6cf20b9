"""A git repository for a test, in as few processes as possible."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@localhost")


@dataclass(frozen=True)
class GitRepository:
    """A repository with a working tree.

    Attributes:
        root: Its top.
    """

    root: Path

    @classmethod
    def made(cls, root: Path, files: Mapping[str, str | bytes]) -> GitRepository:
        """A new one with one commit on the branch main."""
        root.mkdir()
        repository = cls(root)
        repository.git("init", "--quiet", "--initial-branch=main")
        repository.commit(files)
        return repository

    def git(self, *words: str) -> str:
        """What git prints."""
        done = subprocess.run(
            ["git", *_IDENTITY, *words], cwd=self.root, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str | bytes | None]) -> str:
        """Write files, or remove those that are None, and commit; the commit's id."""
        for name, content in files.items():
            path = self.root / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "A change")
        return self.git("rev-parse", "HEAD")
