"""`init`: a project that works at once."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from supervisor.cli.flag import AsJson
from supervisor.cli.output import print_json, talk
from supervisor.project.project import make_project
from supervisor.project.shipped import shipped
from supervisor.web.version import version

_NEXT = """
Next:
  {enter}python -m supervisor run --simulate    # at once, on a simulated API
  cp .env.example .env && chmod 600 .env    # then put the key in: GROK_API_KEY=xai-…
  python -m supervisor doctor               # is all well? costs no tokens
README.md there goes on."""


def init(folder: Path = Path(), /, *, as_json: AsJson = False) -> None:
    """Make a project: settings, roles, and what a deployment needs.

    It writes all of its files or none, and none over a file that is there.

    Args:
        folder: Where to; this folder unless given.
        as_json: Print what was made as one JSON document.
    """
    files = shipped(version())
    make_project(folder, files)
    if as_json:
        print_json({"folder": str(folder.absolute()), "files": list(files)})
    made = "\n".join(f"  {path}" for path in files)
    here = os.path.samefile(folder, os.curdir)
    enter = "" if here else f"cd {shlex.quote(str(folder))}\n  "
    talk(f"made {len(files)} files in {folder.absolute()}:\n{made}\n{_NEXT.format(enter=enter)}")
