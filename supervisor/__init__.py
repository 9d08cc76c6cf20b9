"""One asyncio process runs a team of AI workers on one API key.

What a role author imports, and nothing else:

    from supervisor import Context, Role

Each name is loaded when it is first asked for: a command that shows a status has no use for them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supervisor.brief import Brief, TaskResult
    from supervisor.errors import (
        Draining,
        JobCancelled,
        JobError,
        JobFailed,
        RequestError,
        RoleError,
        SupervisorError,
        UpstreamError,
    )
    from supervisor.memory.words import Document, Hit, Index, Indexed, Source
    from supervisor.messages import Cost, JsonValue, Priority, Usage
    from supervisor.role import Answer, Colleague, Context, Message, Role, ToolCall
    from supervisor.stats import get_stats
    from supervisor.workspace.repository import Repository, Worktree
    from supervisor.workspace.words import Bounds, Ran, Sandbox

__all__ = [
    "Answer",
    "Bounds",
    "Brief",
    "Colleague",
    "Context",
    "Cost",
    "Document",
    "Draining",
    "Hit",
    "Index",
    "Indexed",
    "JobCancelled",
    "JobError",
    "JobFailed",
    "JsonValue",
    "Message",
    "Priority",
    "Ran",
    "Repository",
    "RequestError",
    "Role",
    "RoleError",
    "Sandbox",
    "Source",
    "SupervisorError",
    "TaskResult",
    "ToolCall",
    "UpstreamError",
    "Usage",
    "Worktree",
    "get_stats",
]

_HOMES = {
    ".brief": ("Brief", "TaskResult"),
    ".errors": (
        "Draining",
        "JobCancelled",
        "JobError",
        "JobFailed",
        "RequestError",
        "RoleError",
        "SupervisorError",
        "UpstreamError",
    ),
    ".memory.words": ("Document", "Hit", "Index", "Indexed", "Source"),
    ".messages": ("Cost", "JsonValue", "Priority", "Usage"),
    ".role": ("Answer", "Colleague", "Context", "Message", "Role", "ToolCall"),
    ".stats": ("get_stats",),
    ".workspace.repository": ("Repository", "Worktree"),
    ".workspace.words": ("Bounds", "Ran", "Sandbox"),
}
"""Where the names live, within this package."""


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            value: object = getattr(import_module(home, __name__), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
