"""Answers that are paid for and could not be written down: kept for the job's next run.

When the store fails while an answer is on its way, the job is interrupted and goes on when the
store can be used again. As long as the process lives it need not pay for that answer twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from supervisor.jobs.answers import Record
from supervisor.jobs.run import Recorder
from supervisor.jobs.store import is_of_values


class Unwritten:
    """Writes down what one run of a job gets, and keeps it until it is; a `Recorder`.

    Args:
        recorder: Writes it down.
        known: What was on record when the run began.
    """

    def __init__(self, recorder: Recorder, known: Sequence[Record] = ()) -> None:
        self._recorder = recorder
        self._known = list(known)
        self._records: list[Record] = []

    async def record(self, record: Record) -> None:
        """Return when it is durable. When this raises, it may be so all the same.

        Until then it counts as unwritten: the engine waits as long as the store is away, and a run
        that is left behind with that hears of no end.
        """
        self._records.append(record)
        try:
            await self._recorder.record(record)
        except Exception as error:
            if is_of_values(error):
                self._records.remove(record)
            raise
        self._records.remove(record)
        self._known.append(record)

    def missing(self, found: Sequence[Record]) -> list[Record]:
        """What is still to be written down, in its order.

        Args:
            found: What is on record now. What was not known to be is one of those kept, whose
                writing succeeded although nobody heard of it.
        """
        return _without(self._records, _without(found, self._known))

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        return f"<Unwritten {len(self._records)} known={len(self._known)}>"


def _without(records: Sequence[Record], others: Sequence[Record]) -> list[Record]:
    """Records less others, each of which takes one like itself away."""
    rest = list(records)
    for other in others:
        if other in rest:
            rest.remove(other)
    return rest
