"""One conversation as it is kept: what was asked, what was answered, and what it cost. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from supervisor.messages import Cost, Usage
from supervisor.terminal.text import shortened

_TITLE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A question and what came back.

    Attributes:
        question: What was asked.
        answer: What was said to it, possibly only the beginning.
        model: Who answered.
        cut: Why the answer is not whole; empty when it is.
        usage: Tokens and price; None when the API did not come to tell.
        at: Seconds since the epoch at which it had ended.
    """

    question: str
    answer: str
    model: str = ""
    cut: str = ""
    usage: Usage | None = None
    at: float = 0.0


@dataclass(slots=True)
class Session:
    """A conversation.

    Attributes:
        id: Its name; sorts by when it began.
        started: Seconds since the epoch.
        person: Who began it.
        model: Who is asked.
        exchanges: All that was said so far.
        pending: A question that has no answer yet, or never got one.
    """

    id: str
    started: float
    person: str
    model: str
    exchanges: list[Exchange] = field(default_factory=list[Exchange])
    pending: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked yet."""
        return not self.exchanges and not self.pending

    @property
    def title(self) -> str:
        """Its first question, shortened to one line."""
        first = self.exchanges[0].question if self.exchanges else self.pending
        return shortened(" ".join(first.split()), _TITLE)

    @property
    def cost(self) -> Cost:
        """What its answers have cost, as far as the API told."""
        return sum(
            (
                Cost(1, one.usage.total if one.usage else 0, one.usage.cost if one.usage else None)
                for one in self.exchanges
            ),
            Cost(),
        )

    def messages(self, question: str) -> list[dict[str, str]]:
        """The conversation as the API wants it, with a new question at its end."""
        messages: list[dict[str, str]] = []
        for one in self.exchanges:
            messages.append({"role": "user", "content": one.question})
            messages.append({"role": "assistant", "content": one.answer})
        return [*messages, {"role": "user", "content": question}]


def begun(session: Session) -> dict[str, Any]:
    """The record that a session's file begins with."""
    return {
        "session": session.id,
        "started": session.started,
        "person": session.person,
        "model": session.model,
    }


def asked(session: Session, at: float) -> dict[str, Any]:
    """The record of a session's pending question; written before it is sent.

    Args:
        session: It has the question.
        at: Seconds since the epoch.
    """
    return {"asked": session.pending, "at": at, "model": session.model}


def answered(exchange: Exchange) -> dict[str, Any]:
    """The record of an answer; the question has a record of its own before it."""
    usage = exchange.usage
    return {
        "answered": exchange.answer,
        "at": exchange.at,
        "model": exchange.model,
        "cut": exchange.cut,
        "usage": None
        if usage is None
        else {
            "prompt": usage.prompt,
            "completion": usage.completion,
            "reasoning": usage.reasoning,
            "cached": usage.cached,
            "cost": None if usage.cost is None else str(usage.cost),
        },
    }


def read_session(lines: Iterable[str]) -> Session | None:
    """A session from the lines of its file.

    Lines that are no records are passed over: the last one may have been cut by a crash.

    Returns:
        None where there is no beginning.
    """
    session: Session | None = None
    for line in lines:
        record = _record(line)
        if session is None:
            if "session" in record:
                session = _begin(record)
        elif "asked" in record:
            session.pending = str(record["asked"])
            session.model = str(record.get("model") or session.model)
        elif "answered" in record:
            session.exchanges.append(_exchange(session.pending, record))
            session.pending = ""
    return session


def _record(line: str) -> dict[str, Any]:
    try:
        value: Any = json.loads(line)
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _begin(record: Mapping[str, Any]) -> Session:
    return Session(
        id=str(record["session"]),
        started=_seconds(record.get("started")),
        person=str(record.get("person") or ""),
        model=str(record.get("model") or ""),
    )


def _exchange(question: str, record: Mapping[str, Any]) -> Exchange:
    return Exchange(
        question=question,
        answer=str(record["answered"]),
        model=str(record.get("model") or ""),
        cut=str(record.get("cut") or ""),
        usage=_usage(record.get("usage")),
        at=_seconds(record.get("at")),
    )


def _usage(value: object) -> Usage | None:
    if not isinstance(value, dict):
        return None
    record = cast("dict[str, Any]", value)
    try:
        cost = None if record.get("cost") is None else Decimal(str(record["cost"]))
    except InvalidOperation:
        cost = None
    return Usage(
        _count(record, "prompt"),
        _count(record, "completion"),
        _count(record, "reasoning"),
        _count(record, "cached"),
        cost,
    )


def _count(record: Mapping[str, Any], name: str) -> int:
    value = record.get(name)
    return value if isinstance(value, int) else 0


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
