"""One asyncio process runs a team of AI workers on one API key.

What a role author imports, and nothing else:

    from supervisor import Context, Role
"""

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
