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
from supervisor.memory.words import Document, Hit, Index, Indexed, Source
from supervisor.messages import Cost, JsonValue, Priority, Usage
from supervisor.role import Answer, Colleague, Context, Message, Role, ToolCall
from supervisor.stats import get_stats

__all__ = [
    "Answer",
    "Colleague",
    "Context",
    "Cost",
    "Document",
    "Hit",
    "Index",
    "Indexed",
    "JobCancelled",
    "JobError",
    "JobFailed",
    "JsonValue",
    "Message",
    "Priority",
    "RequestError",
    "Role",
    "Source",
    "SupervisorError",
    "ToolCall",
    "UpstreamError",
    "Usage",
    "get_stats",
]
