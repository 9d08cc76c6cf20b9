"""The folder in which it happens: a repository with a failing test, a pile of notes, settings."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.launch import ROOT
from examples.demo.answers import answers

LIMITS = ("40 requests / 5s", "400 requests / minute")
"""What the simulated key may send; small, so that half a minute shows what an hour would."""
HEAPS = 4
NOTES = 30
"""Notes in a heap."""

_CONFIG = """\
[upstream]
base_url = "{api}/v1"

[quota]
limits = {limits}
jitter = "500ms"        # shared with whatever else the machine does

[web]
port = 0

[roles]
directory = "{roles}"

[roles.memory]
ceiling = []            # all that the others leave

[log]
format = "json"
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """The folder.

    Attributes:
        folder: All of it.
    """

    folder: Path

    @property
    def repository(self) -> Path:
        """A small repository whose test fails."""
        return self.folder / "repository"

    @property
    def heaps(self) -> list[Path]:
        """Folders with notes to be read one by one."""
        return [self.folder / "notes" / str(number) for number in range(HEAPS)]

    @property
    def is_set(self) -> bool:
        """Whether all is there, as an earlier run has left it when it was killed."""
        return (self.folder / "answers.json").exists()

    def set(self) -> None:
        """Make all of it."""
        self.repository.mkdir(parents=True)
        for file in (Path(__file__).parent / "repository").iterdir():
            # They end in .txt, so that our own tests and linters leave them alone.
            (self.repository / file.stem).write_text(file.read_text("utf-8"), "utf-8")
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("add", ".")
        self.git("commit", "--quiet", "-m", "Add spans")
        for number, heap in enumerate(self.heaps):
            heap.mkdir(parents=True)
            for note in range(NOTES):
                text = f"# Note {number}.{note}\n\nItem {note} of heap {number}.\n"
                (heap / f"note-{note}.md").write_text(text)
        rules = json.dumps({"answers": answers()}, indent=1)
        (self.folder / "answers.json").write_text(rules)

    def git(self, *words: str) -> str:
        """What git prints in the repository."""
        identity = ["-c", "user.name=Demo", "-c", "user.email=demo@localhost"]
        done = subprocess.run(
            ["git", *identity, *words],
            cwd=self.repository,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def config(self, api: str) -> str:
        """The settings.

        Args:
            api: Base URL of the simulator.
        """
        return _CONFIG.format(api=api, limits=json.dumps(LIMITS), roles=ROOT / "roles")
