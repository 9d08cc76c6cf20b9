"""The SSH door of the house that this process is: its conversation, and its own documents.

It goes through the house's HTTP door, as every terminal does, so that who comes over SSH is
counted, queued and answered like anybody else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskStatus

from supervisor.config.settings import Settings
from supervisor.terminal.chat import converse
from supervisor.terminal.house import house_of
from supervisor.terminal.sessions import Sessions
from supervisor.terminal.ssh_server import serve_ssh


async def serve_chat(
    settings: Settings,
    *,
    port: Callable[[], int],
    task_status: TaskStatus[Any] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the terminal over SSH until cancelled.

    Args:
        settings: All settings; `ssh.authorized_keys` is set.
        port: Where the house's HTTP door listens, once it does.
        task_status: Told once connections are accepted.

    Raises:
        ConfigError: The address or a file cannot be used.
    """
    beside = settings.store.file().with_name("ssh_host_key")
    ssh = settings.ssh.model_copy(update={"host_key": settings.ssh.host_key or beside})
    house = house_of(settings, port=port())
    sessions = Sessions(settings.store.chat)
    talk = partial(converse, house=house, sessions=sessions, model=settings.model)
    try:
        await serve_ssh(ssh, converse=talk, house=house, task_status=task_status)
    finally:
        with anyio.CancelScope(shield=True):
            await house.aclose()
