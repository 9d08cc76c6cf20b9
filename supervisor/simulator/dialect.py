"""What the two ways of asking have in common: a request is read, an answer is written.

The metered endpoint knows only this; chat and responses each fill it in.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from supervisor.simulator.answers import Answer
from supervisor.simulator.document import Json
from supervisor.simulator.failures import Failure
from supervisor.simulator.question import Question
from supervisor.simulator.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer with everything its wire form says.

    Attributes:
        id: A UUID, unique in the run.
        created: Unix time in seconds.
        model: The model that answered.
        question: What was asked.
        answer: What the model says.
        usage: Tokens and price.
        reasoning: The reasoning's text; empty where it is not shown.
        chunk: Characters of one event of a stream.
    """

    id: str
    created: int
    model: str
    question: Question
    answer: Answer
    usage: Usage
    reasoning: str
    chunk: int

    def pieces(self, text: str) -> list[str]:
        """The text cut for a stream."""
        return [text[start : start + self.chunk] for start in range(0, len(text), self.chunk)]


class Dialect(Protocol):
    """One way of asking."""

    rate_headers: bool
    """Whether successful answers carry the rate-limit headers."""

    def read(self, body: Json, unsupported: Collection[str]) -> Question | Failure:
        """The question in a request's body, or the first thing wrong with it."""
        ...

    def whole(self, reply: Reply) -> Json:
        """The answer as one JSON document."""
        ...

    def events(self, reply: Reply) -> list[bytes]:
        """The answer as server-sent events."""
        ...
