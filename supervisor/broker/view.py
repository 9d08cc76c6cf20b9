"""Renders the broker's state as frozen values; decides nothing."""

from __future__ import annotations

from decimal import Decimal

from supervisor.broker.account import Account
from supervisor.broker.dispatcher import Dispatcher
from supervisor.broker.entry import Entry
from supervisor.broker.obstacle import block_of
from supervisor.broker.snapshot import ClassSnapshot, RequestsSnapshot, Why
from supervisor.budget import TICKS_PER_DOLLAR
from supervisor.quota.block import Block, Obstacle
from supervisor.scheduler.scheduler import Place
from supervisor.scheduler.ticket import TicketState


def why(dispatcher: Dispatcher, entry: Entry, now: float) -> Why:
    """Why a waiting entry has not gone yet.

    Args:
        dispatcher: Whose queue it is in.
        entry: A waiting or delayed entry.
        now: Monotonic seconds.
    """
    waited = max(0.0, now - entry.since) + entry.waited
    request = entry.request
    promise = None if entry.errand is None else entry.errand.promise
    if entry.state is TicketState.DELAYED:
        detail, obstacle = f"retry {entry.retries} waits for its turn", Obstacle.RETRY
        if promise is not None and not entry.retries:
            detail, obstacle = f"waits for the deferred answer {promise.id}", Obstacle.DEFERRED
        elif entry in dispatcher.lines:
            detail = "its model has no capacity"
        expected: float | None = max(0.0, entry.not_before - now)
        return Why(
            request.id, request.traffic_class, 1, 0, obstacle.value, detail, waited, expected
        )
    place = dispatcher.scheduler.place(entry)
    block = _obstacle(dispatcher, entry, place, now=now)
    expected = _expected(dispatcher, entry, place, now=now)
    if block.obstacle is Obstacle.BUDGET:
        known = block.until < float("inf")
        expected = max(block.until - now, expected or 0.0) if known else None
    return Why(
        request.id,
        request.traffic_class,
        place.ahead + 1,
        place.urgent,
        block.obstacle.value,
        block.detail + (f", to fetch the deferred answer {promise.id}" if promise else ""),
        waited,
        expected,
    )


def _obstacle(dispatcher: Dispatcher, entry: Entry, place: Place, *, now: float) -> Block:
    quota, scheduler = dispatcher.quota, dispatcher.scheduler
    block = block_of(quota, scheduler, dispatcher.toll, entry=entry, now=now)
    if block is not None:
        return block
    if place.ahead:
        return Block(Obstacle.TURN, "others go first", now)
    rate = quota.pace(entry.owner, priority=entry.priority)
    if rate is not None:
        detail = f"paced at {rate * 60:.1f} a minute, for more is wanted than the window holds"
        return Block(Obstacle.PACE, detail, now)
    return Block(Obstacle.TURN, "it is its turn", now)


def _expected(dispatcher: Dispatcher, entry: Entry, place: Place, *, now: float) -> float | None:
    if dispatcher.scheduler.is_busy(entry.owner):
        return None
    at = dispatcher.quota.expected(
        entry.owner, ahead=place.ahead, own_ahead=place.own, now=now, tokens=entry.tokens
    )
    return None if at == float("inf") else at - now


def class_snapshot(dispatcher: Dispatcher, account: Account, now: float) -> ClassSnapshot:
    """One class as everybody shows it."""
    scheduler, traffic_class = dispatcher.scheduler, account.traffic_class
    used, (median, high) = account.used, account.wait_quantiles()
    first = scheduler.first(account.owner)
    return ClassSnapshot(
        name=traffic_class.name,
        priority=traffic_class.priority,
        share=traffic_class.share,
        ceiling=traffic_class.ceiling,
        queued=scheduler.waiting(account.owner),
        in_flight=scheduler.in_flight(account.owner),
        since_start=RequestsSnapshot(account.requests, account.answered, account.failed),
        attempts=used.attempts,
        answered=used.answered,
        refused=used.refused,
        prompt_tokens=used.prompt,
        completion_tokens=used.completion + used.reasoning,
        cost_usd=float(Decimal(used.ticks) / TICKS_PER_DOLLAR),
        wait_p50=median,
        wait_p99=high,
        why="" if first is None else str(why(dispatcher, first, now)),
    )
