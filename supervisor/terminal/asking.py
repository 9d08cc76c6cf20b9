"""Asks one question and follows it: while it waits, while it is answered, to its end."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import anyio

from supervisor.clock import Clock
from supervisor.config.settings import CHAT
from supervisor.errors import SupervisorError
from supervisor.terminal.answer import Answer
from supervisor.terminal.house import House
from supervisor.terminal.waiting import duration, waiting_text

PATH = "/v1/chat/completions"
TICK = 0.5
"""Seconds between two looks at the queue."""
_FIRST_LOOK = 0.3
"""Seconds before the first: most answers begin sooner, and need no line about waiting."""


class Listener(Protocol):
    """Whoever is told how it goes."""

    def waits(self, text: str) -> None:
        """How it stands, twice a second; empty when there is nothing to say."""
        ...

    def says(self, piece: str) -> None:
        """A piece of the answer, as it came."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        model: Who is asked; empty for the supervisor's own choice.
        messages: The conversation, the question at its end.
        conversation: A stable name of the conversation, so that the API finds it in its cache.
    """

    model: str
    messages: Sequence[dict[str, str]]
    conversation: str

    def document(self) -> dict[str, Any]:
        """The body of the request."""
        document: dict[str, Any] = {
            "messages": list(self.messages),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        return {"model": self.model, **document} if self.model else document


async def ask(
    house: House, question: Question, *, answer: Answer, listener: Listener, clock: Clock
) -> None:
    """Ask, and fill the answer as it comes. Cancelling hangs up, which frees its place at once.

    Args:
        house: Who is asked.
        question: What is asked.
        answer: Empty; it keeps what has come also where an error ends it.
        listener: Is told how it goes.
        clock: Tells for how long.

    Raises:
        NotRunning: No supervisor answers.
        SupervisorError: It gives no answer, or not all of it.
    """
    name = str(uuid.uuid4())
    headers = {
        "x-supervisor-role": CHAT.name,
        "x-client-request-id": name,
        "x-grok-conv-id": question.conversation,
    }
    failure: SupervisorError | None = None
    # The error is carried out by hand: a task group would wrap it into a group of errors.
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(_watch, house, name, answer, listener=listener, clock=clock))
        try:
            async with house.stream(PATH, question.document(), headers=headers) as streamed:
                async for document in streamed.documents:
                    if piece := answer.take(document):
                        listener.says(piece)
        except SupervisorError as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _watch(
    house: House, name: str, answer: Answer, *, listener: Listener, clock: Clock
) -> None:
    """Tell how it stands until cancelled."""
    began = clock.monotonic()
    await anyio.sleep(_FIRST_LOOK)
    while True:
        age = clock.monotonic() - began
        listener.waits(_state(answer, age) or await _why(house, name, age))
        await anyio.sleep(TICK)


def _state(answer: Answer, age: float) -> str:
    if answer.text:
        return f"answering, {duration(age)}"
    return f"thinking, {duration(age)}" if answer.begun else ""


async def _why(house: House, name: str, age: float) -> str:
    try:
        return f"waiting: {waiting_text(await house.get(f'/api/why/{name}'))}"
    except SupervisorError:
        # It does not wait in the queue (any more): it is on its way, or its error is.
        return f"sent, no word yet, {duration(age)}"
