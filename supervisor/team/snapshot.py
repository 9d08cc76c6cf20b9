"""The team as everybody sees it: one set of frozen values that every view renders."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSnapshot:
    """One role.

    Attributes:
        name: Its name.
        description: What it does, in one line; empty when its author said nothing.
        state: `starting`, `running`, `backing_off`, `stopping`, `stopped`, `failed` or `done`.
        since_seconds: Seconds for which it has been in that state.
        restarts: Restarts so far, by its supervisor and by hand.
        last_error: The last crash in one line; empty when there was none.
        running_jobs: Jobs it works on now.
        priority: 0 (most urgent) to 99.
        share: Guaranteed part of the quota, 0 to 1.
    """

    name: str
    description: str
    state: str
    since_seconds: float
    restarts: int
    last_error: str
    running_jobs: int
    priority: int
    share: float


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """A file in the roles directory that is no usable role.

    Attributes:
        file: The file.
        line: 1-based line, 0 when the whole file is meant.
        message: What is wrong and what was expected.
    """

    file: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class TeamSnapshot:
    """All roles, and all files that should have been one."""

    roles: tuple[RoleSnapshot, ...]
    broken: tuple[BrokenPlugin, ...]
