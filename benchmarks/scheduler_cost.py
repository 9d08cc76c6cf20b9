"""What a submit and a grant cost with many waiting, and what one waiting request weighs.

python -m benchmarks.scheduler_cost --waiting 1000000
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import tracemalloc

from supervisor.limits import Limit
from supervisor.messages import TrafficClass
from supervisor.quota.quota import Quota
from supervisor.scheduler.scheduler import Scheduler
from supervisor.scheduler.ticket import Ticket

_CLASSES = (
    TrafficClass("ceo", priority=20, share=0.10),
    TrafficClass("code", priority=40, share=0.25, ceiling=("1000000 requests / second",)),
    TrafficClass("quality", priority=60, share=0.15, ceiling=("1000000 requests / second",)),
    TrafficClass("memory", priority=80, ceiling=("1000000 requests / second",)),
)
_LIMITS = ("1000000 requests / second", "3000000 requests / minute")
_STEPS = 100_000


def build(waiting: int) -> tuple[Scheduler[Ticket], list[int]]:
    """A scheduler with `waiting` requests, a quarter in each class."""
    quota = Quota([Limit.parse(text) for text in _LIMITS], jitter=0.25, now=0.0)
    scheduler: Scheduler[Ticket] = Scheduler(quota)
    owners: list[int] = []
    for traffic_class in _CLASSES:
        owner = quota.set_class(traffic_class)
        scheduler.set_class(owner, concurrency=None, share=traffic_class.share)
        owners.append(owner)
    for number in range(waiting):
        submit(scheduler, owners, number)
    return scheduler, owners


def submit(scheduler: Scheduler[Ticket], owners: list[int], number: int) -> None:
    """Queue one request more."""
    index = number % len(owners)
    ticket = Ticket(f"r{number}", owner=owners[index], priority=_CLASSES[index].priority)
    scheduler.submit(ticket, 0.0)


def cost(waiting: int, *, batch: int) -> float:
    """Seconds for one submit and one grant.

    Args:
        waiting: Requests that wait all the while.
        batch: Most grants in a round.
    """
    scheduler, owners = build(waiting)
    gc.collect()
    gc.freeze()
    now, done, number = 0.0, 0, waiting
    start = time.process_time()
    while done < _STEPS:
        for _ in range(batch):
            submit(scheduler, owners, number)
            number += 1
        now += batch / 40_000
        result = scheduler.round(now, most=batch, paced=True)
        for ticket in result.grants:
            scheduler.leave(ticket)
        done += batch
    seconds = time.process_time() - start
    gc.unfreeze()
    return seconds / done


def weight(waiting: int) -> float:
    """Bytes of one waiting request, its ticket and its place."""
    gc.collect()
    tracemalloc.start()
    scheduler, _ = build(waiting)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del scheduler
    return size / waiting


def main() -> int:
    """Print the figures.

    Returns:
        1 if a "must" does not hold.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiting", type=int, default=1_000_000)
    waiting = parser.parse_args().waiting
    held = True
    for many in (1_000, waiting):
        for batch in (1, 64):
            micros = cost(many, batch=batch) * 1e6
            held = held and micros <= 20
            print(f"{many:>9,} waiting, rounds of {batch:>2}: {micros:6.2f} us (must <= 20, aim 5)")
    size = weight(waiting)
    held = held and size <= 1024
    print(f"{waiting:>9,} waiting: {size:.0f} bytes each (must <= 1024)")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
