"""Waits in a thread that ends with the process, for what may never come.

anyio's threads, and those of uvloop in C, are waited for at the process's end.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def ask_in_thread(ask: Callable[[], T]) -> T:
    """What a call gives that blocks; whoever is cancelled leaves it to its thread.

    Args:
        ask: The call.
    """
    answer: Future[T] = Future()
    # From now on nobody can take it back.
    answer.set_running_or_notify_cancel()

    def work() -> None:
        try:
            answer.set_result(ask())
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=work, name="waits for an answer", daemon=True).start()
    return await asyncio.wrap_future(answer)
