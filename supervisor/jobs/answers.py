"""Answers that earlier runs of a job have paid for, found again in any order.

A handler may ask in parallel, and after a crash its questions can come in another order. So an
answer is not looked up by its place but by the digest of its question, and each is given once.
So are promises: answers that are paid for and still to be fetched.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

from supervisor.messages import JsonValue, Promise

_SURROGATE = r"\ud"


@dataclass(frozen=True, slots=True)
class Answer:
    """One recorded answer.

    Attributes:
        digest: Identifies the question.
        value: What was answered.
        promise: Id of the promise that it ends; empty where there was none.
    """

    digest: str
    value: JsonValue
    promise: str = ""

    @classmethod
    def make(cls, digest: str, value: object, *, promise: Promise | None = None) -> Answer:
        """An answer as it will be read back: tuples are lists, keys are strings.

        Raises:
            TypeError: The value is not JSON.
        """
        return cls(digest, json.loads(json.dumps(value)), promise.id if promise else "")

    def to_record(self) -> dict[str, JsonValue]:
        """The form in which it is written down."""
        text = json.dumps(self.value)
        kept: dict[str, JsonValue] = {"digest": self.digest}
        # Models do emit halves of surrogate pairs; no database takes them unescaped.
        kept |= {"escaped": text} if _SURROGATE in text else {"value": self.value}
        return kept | ({"promise": self.promise} if self.promise else {})

    @classmethod
    def from_record(cls, record: object) -> Answer | None:
        """Read what `to_record` wrote; None when it is something else."""
        if not isinstance(record, dict):
            return None
        fields = cast("dict[str, JsonValue]", record)
        digest = fields.get("digest")
        if not isinstance(digest, str):
            return None
        escaped = fields.get("escaped")
        value = json.loads(escaped) if isinstance(escaped, str) else fields.get("value")
        return cls(digest, value, str(fields.get("promise") or ""))


@dataclass(frozen=True, slots=True)
class Owed:
    """One recorded promise of an answer.

    Attributes:
        digest: Identifies the question.
        promise: What the API has promised.
    """

    digest: str
    promise: Promise

    def to_record(self) -> dict[str, JsonValue]:
        """The form in which it is written down; an earlier version passes it over."""
        one = self.promise
        kept: dict[str, JsonValue] = {"owed": self.digest, "promise": one.id, "since": one.since}
        return kept | ({"granted": one.granted, "cost": one.cost} if one.cost else {})

    @classmethod
    def from_record(cls, record: object) -> Owed | None:
        """Read what `to_record` wrote; None when it is something else."""
        if not isinstance(record, dict):
            return None
        fields = cast("dict[str, JsonValue]", record)
        digest, name, since = fields.get("owed"), fields.get("promise"), fields.get("since")
        if not isinstance(digest, str) or not isinstance(name, str):
            return None
        promise = Promise(name, since if isinstance(since, int | float) else 0.0)
        granted, cost = fields.get("granted"), fields.get("cost")
        if isinstance(granted, int | float) and isinstance(cost, int):
            promise = replace(promise, granted=granted, cost=cost)
        return cls(digest, promise)


Record = Answer | Owed
"""What a job's runs leave behind."""


def read_record(record: object) -> Record | None:
    """What was written down; None when nobody here wrote it."""
    return Answer.from_record(record) or Owed.from_record(record)


class Answers:
    """The pool of one run: what is recorded and not yet handed out in this run.

    Args:
        recorded: All answers and promises on record, in the order in which they were recorded.
    """

    def __init__(self, recorded: Iterable[Record] = ()) -> None:
        self._unused: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self._owed: defaultdict[str, deque[Promise]] = defaultdict(deque)
        records = list(recorded)
        kept = {record.promise for record in records if isinstance(record, Answer)}
        for record in records:
            if isinstance(record, Answer):
                self._unused[record.digest].append(record)
            elif record.promise.id not in kept:
                self._owed[record.digest].append(record.promise)

    def take(self, digest: str) -> Answer | None:
        """The oldest unused answer to this question; None when there is none left."""
        unused = self._unused.get(digest)
        return unused.popleft() if unused else None

    def take_promise(self, digest: str) -> Promise | None:
        """The oldest promise that was not kept yet; None when there is none left."""
        owed = self._owed.get(digest)
        return owed.popleft() if owed else None

    def put_back(self, digest: str, promise: Promise) -> None:
        """A promise that could not be fetched now; asked again, it is what is fetched."""
        self._owed[digest].appendleft(promise)

    def __len__(self) -> int:
        return sum(len(unused) for unused in self._unused.values())

    def __repr__(self) -> str:
        owed = sum(len(promises) for promises in self._owed.values())
        return f"<Answers unused={len(self)} owed={owed}>"
