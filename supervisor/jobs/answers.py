"""Answers that earlier runs of a job have paid for, found again in any order.

A handler may ask in parallel, and after a crash its questions can come in another order. So an
answer is not looked up by its place but by the digest of its question, and each is given once.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from supervisor.messages import JsonValue

_SURROGATE = r"\ud"


@dataclass(frozen=True, slots=True)
class Answer:
    """One recorded answer.

    Attributes:
        digest: Identifies the question.
        value: What was answered.
    """

    digest: str
    value: JsonValue

    @classmethod
    def make(cls, digest: str, value: object) -> Answer:
        """An answer as it will be read back: tuples are lists, keys are strings.

        Raises:
            TypeError: The value is not JSON.
        """
        return cls(digest, json.loads(json.dumps(value)))

    def to_record(self) -> dict[str, JsonValue]:
        """The form in which it is written down."""
        text = json.dumps(self.value)
        if _SURROGATE in text:
            # Models do emit halves of surrogate pairs; no database takes them unescaped.
            return {"digest": self.digest, "escaped": text}
        return {"digest": self.digest, "value": self.value}

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
        return cls(digest, value)


class Answers:
    """The pool of one run: what is recorded and not yet handed out in this run.

    Args:
        recorded: All answers on record, in the order in which they were recorded.
    """

    def __init__(self, recorded: Iterable[Answer] = ()) -> None:
        self._unused: defaultdict[str, deque[Answer]] = defaultdict(deque)
        for answer in recorded:
            self._unused[answer.digest].append(answer)

    def take(self, digest: str) -> Answer | None:
        """The oldest unused answer to this question; None when there is none left."""
        unused = self._unused.get(digest)
        return unused.popleft() if unused else None

    def __len__(self) -> int:
        return sum(len(unused) for unused in self._unused.values())

    def __repr__(self) -> str:
        return f"<Answers unused={len(self)}>"
