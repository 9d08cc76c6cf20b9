"""One asyncio process runs a team of AI workers on one API key.

What a role author imports, and nothing else:

    from supervisor import Context, Role
"""

from supervisor.errors import (
    JobCancelled,
    JobError,
    JobFailed,
    RequestError,
    SupervisorError,
    UpstreamError,
)
from supervisor.messages import JsonValue, Priority, Usage
from supervisor.role import Answer, Context, Message, Role, ToolCall
from supervisor.stats import get_stats

__all__ = [
    "Answer",
    "Context",
    "JobCancelled",
    "JobError",
    "JobFailed",
    "JsonValue",
    "Message",
    "Priority",
    "RequestError",
    "Role",
    "SupervisorError",
    "ToolCall",
    "UpstreamError",
    "Usage",
    "get_stats",
]
