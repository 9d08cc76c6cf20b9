"""The words of the system: what goes into the broker and what comes out. All values are frozen.

Layers above and below speak these and know nothing else of each other.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum
from typing import Any, Literal, Protocol

JsonValue = None | bool | int | float | str | list[Any] | dict[str, Any]
"""A value that survives JSON; nested values are JSON too."""

Endpoint = Literal["/chat/completions", "/responses"]


class Priority(IntEnum):
    """Names for points on the scale 0 (most urgent) to 99 (least urgent)."""

    URGENT = 0
    HIGH = 20
    MEDIUM = 40
    LOW = 60
    LOWEST = 80


@dataclass(frozen=True, slots=True)
class TrafficClass:
    """A role or a client as the scheduler sees it.

    Attributes:
        name: Unique name.
        priority: 0 (most urgent) to 99.
        share: Guaranteed part of every window, 0 to 1.
        ceiling: Limits that this class alone may not exceed, as `Limit` texts.
        concurrency: Most attempts in flight at once; None for no bound.
        queue: Most requests waiting at once.
        budget: Most money in a period, as `Budget` texts.
        refuses: Whether its requests are refused at the end of a budget; else they wait.
        awaited: Whether less urgent work that does not fit goes at an even pace for its sake also
            while it asks nothing; without that, only its reserve is kept for it then.
    """

    name: str
    priority: int = Priority.MEDIUM
    share: float = 0.0
    ceiling: tuple[str, ...] = ()
    concurrency: int | None = None
    queue: int = 10_000
    budget: tuple[str, ...] = ()
    refuses: bool = False
    awaited: bool = True


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer and their price.

    Attributes:
        prompt: Prompt tokens, cached ones included.
        completion: Answer tokens, reasoning excluded (both endpoints are brought to this form).
        reasoning: Reasoning tokens.
        cached: The part of `prompt` that came from the provider's cache.
        cost: Price in US dollars; None when unknown.
    """

    prompt: int = 0
    completion: int = 0
    reasoning: int = 0
    cached: int = 0
    cost: Decimal | None = None

    @property
    def total(self) -> int:
        """All tokens that count against a tokens limit (cached ones count too)."""
        return self.prompt + self.completion + self.reasoning


LONGEST_MODEL = 200
"""Characters of a model's name; the longest known ones have a fifth of it."""


def complaint_about_model(model: str) -> str:
    """What is wrong with a model's name; empty for nothing. The ledger could not hold any text."""
    if len(model) <= LONGEST_MODEL and model.isprintable():
        return ""
    return (
        f"expected model to be a name of at most {LONGEST_MODEL} printable characters,"
        f" got: {len(model)} characters, {model[:40]!r}"
    )


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work has cost so far; costs can be added.

    Attributes:
        requests: Answers that came from the API.
        tokens: Tokens of all kinds in them.
        usd: Price in US dollars, as far as the API told it; None when it told none.
    """

    requests: int = 0
    tokens: int = 0
    usd: Decimal | None = None

    def __add__(self, other: Cost) -> Cost:
        known = [usd for usd in (self.usd, other.usd) if usd is not None]
        return Cost(
            self.requests + other.requests,
            self.tokens + other.tokens,
            sum(known, Decimal(0)) if known else None,
        )


@dataclass(frozen=True, slots=True)
class Promise:
    """An answer that the API has promised; it is to be fetched.

    Attributes:
        id: What it is fetched by.
        since: Unix time at which it was promised, in seconds.
        granted: Unix time at which it was let go, in seconds; its reservation is booked there.
        cost: Ticks of 1e-10 US dollars that the ledger keeps reserved for it until it is fetched.
    """

    id: str
    since: float
    granted: float = 0.0
    cost: int = 0


class Deferral(Protocol):
    """Keeps what was promised to one question, so that nobody asks it again."""

    @property
    def promise(self) -> Promise | None:
        """The promise on record; None while there is none."""
        ...

    def keep(self, promise: Promise) -> Awaitable[None]:
        """Write it down; returns when it is durable, before anybody fetches the answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One thing to ask of the API.

    Attributes:
        id: Unique id, for the ledger and for `why`.
        traffic_class: Name of the role or client it counts for.
        body: The JSON document, exactly as it is to be sent.
        endpoint: Path below the API's base URL.
        model: The model it names; empty when it names none.
        stream: Whether the answer is to come as server-sent events.
        priority: More urgent priority inherited from whoever delegated; None for the class's own.
        deadline: Seconds from now after which it must not be sent any more; None for never.
        max_output: Most answer tokens asked for (reasoning is not bounded by it); None if unsaid.
        headers: Extra request headers, such as `x-grok-conv-id`.
        job: Id of the job it belongs to; empty for gateway calls.
        deferred: Keeps the API's promise where the answer may be fetched later; None where it is
            waited for. Only for whole chat completions.
    """

    id: str
    traffic_class: str
    body: bytes
    endpoint: Endpoint = "/chat/completions"
    model: str = ""
    stream: bool = False
    priority: int | None = None
    deadline: float | None = None
    max_output: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    job: str = ""
    deferred: Deferral | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer.

    Attributes:
        status: HTTP status of the API, 2xx.
        headers: Response headers worth passing on, lower-case names.
        body: The body as received.
        usage: Tokens and price, None when the API did not say.
        wait: Seconds spent in the queue, over all attempts.
        attempts: HTTP requests that were sent for it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    usage: Usage | None
    wait: float
    attempts: int

    def json(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            ValueError: The body is not a JSON object.
        """
        value = json.loads(self.body)
        if not isinstance(value, dict):
            raise ValueError(f"expected a JSON object, got: {type(value).__name__}")
        return value  # pyright: ignore[reportUnknownVariableType]
