"""What `doctor` looks at on this machine: git, the sandbox, and who can read the secrets' file."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from supervisor.cli.check import Check, fine, wrong
from supervisor.config.settings import Settings
from supervisor.errors import SupervisorError

_OLDEST_GIT = (2, 31)
"""The first with `rev-parse --path-format`."""
_SECONDS = 4.0


def git(settings: Settings) -> Check:
    """Whether git is there; a role `code` works in its worktrees.

    Args:
        settings: Name the roles directory.
    """
    folder = settings.roles.directory
    needed = (folder / "code.py").exists() or (folder / "code").is_dir()
    try:
        done = subprocess.run(
            ["git", "--version"], capture_output=True, check=False, text=True, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        hint = "install git: the role code works in its worktrees"
        detail = f"it does not run: {error}"
        return wrong("git", detail, hint=hint) if needed else fine("git", f"{detail}; not needed")
    found = re.search(r"(\d+)\.(\d+)\S*", done.stdout)
    if found is None or (int(found[1]), int(found[2])) < _OLDEST_GIT:
        detail = f"expected 2.31 or later, got: {done.stdout.strip()}"
        return Check("git", not needed, detail, "install a later git")
    return fine("git", found[0])


def sandbox(settings: Settings) -> Check:
    """Whether commands can be shut in as the settings ask; really runs one.

    Args:
        settings: Say how.
    """
    # anyio: only this check starts a command through it.
    import anyio  # noqa: PLC0415

    from supervisor.workspace.sandbox import LocalSandbox  # noqa: PLC0415
    from supervisor.workspace.words import Bounds  # noqa: PLC0415

    try:
        box = LocalSandbox(settings.sandbox.level, network=settings.sandbox.network)
        with TemporaryDirectory() as folder:

            async def run() -> tuple[int, str]:
                bounds = Bounds(seconds=_SECONDS)
                ran = await box.run("true", folder=Path(folder), bounds=bounds)
                return ran.code, ran.output

            code, output = anyio.run(run)
    except SupervisorError as error:
        return wrong("sandbox", error.message, hint=error.hint)
    if code:
        return _broken(box.level, code, output)
    if box.level == "plain":
        hint = "install bubblewrap, so that what roles run cannot read this user's files"
        return fine("sandbox", "plain: a scrubbed environment and bounds, no walls", hint)
    return fine("sandbox", f"{box.level} runs a command")


def env_file(path: Path) -> Check:
    """Whether only its owner can read the file with the secrets.

    Args:
        path: The `.env` file; it need not exist.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return fine(".env", "there is none: secrets come from the environment")
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        detail = f"{path}: others can read it (mode {stat.S_IMODE(mode):o})"
        return fine(".env", detail, f"chmod 600 {path}")
    return fine(".env", f"{path}: its owner alone can read it")


def _broken(level: str, code: int, output: str) -> Check:
    said = output.strip().partition("\n")[0]
    return wrong(
        "sandbox",
        f"{level} is here but cannot run `true`: exit code {code}{said and f', {said}'}",
        hint="let this user make namespaces (sysctl kernel.unprivileged_userns_clone=1, "
        'kernel.apparmor_restrict_unprivileged_userns=0), or set sandbox.level = "plain"',
    )
