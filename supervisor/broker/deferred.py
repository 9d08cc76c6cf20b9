"""Answers that are fetched later: a request is posted once, and its answer looked for.

The promise is durable before the first look, so that after a crash the answer is fetched instead
of paid for again. Each look is an attempt like any other: it waits for its grant, is written down
and counts against the limits, for nobody knows whether the API counts it. It needs neither tokens
nor money; those that the post has reserved stay so until the answer's usage replaces them. The
money stays so in the ledger, too, where the promise says: a kill frees none of it.
"""

from __future__ import annotations

import structlog

from supervisor.broker.books import Books
from supervisor.broker.entry import Entry
from supervisor.broker.errand import Errand
from supervisor.broker.verdict import Again
from supervisor.clock import Clock
from supervisor.messages import Promise
from supervisor.upstream.client import Upstream
from supervisor.upstream.deferred import KEPT, deferring, next_look, promised_id
from supervisor.upstream.failures import FailureKind
from supervisor.upstream.outcome import Outcome

_log = structlog.get_logger("supervisor.broker")

_ENOUGH = 3
"""Looks that failed in a row after which an answer is lost that need not be kept any longer."""


class Deferring:
    """Sends the attempts of requests whose answers are fetched later.

    Args:
        upstream: Sends.
        books: Where attempts are settled.
        clock: Tells the time.
    """

    def __init__(self, upstream: Upstream, *, books: Books, clock: Clock) -> None:
        self._upstream = upstream
        self._books = books
        self._clock = clock
        self._unable: set[str] = set()

    def begin(self, entry: Entry) -> None:
        """Decide how a request that has been let in is asked.

        What was promised to it before is fetched, whatever else is known of the API.
        """
        request = entry.request
        deferral = request.deferred
        if deferral is None or request.stream or request.endpoint != "/chat/completions":
            return
        if deferral.promise is not None:
            entry.errand = Errand(deferral)
            self._books.hold(entry, entry.errand, deferral.promise)
        elif request.model not in self._unable:
            entry.errand = Errand(deferral)

    async def attempt(self, entry: Entry, errand: Errand) -> Outcome | Again:
        """Send a granted attempt.

        Returns:
            What it came to, not settled yet; or, where the request is to go on, when. Then it is.

        Raises:
            Exception: The promise could not be written down.
        """
        if errand.promise is not None:
            return await self._look(entry, errand, errand.promise)
        if errand.direct:
            return await self._ask(entry, errand)
        return await self._post(entry, errand)

    async def _post(self, entry: Entry, errand: Errand) -> Outcome | Again:
        outcome = await self._upstream.send(deferring(entry.request))
        failure = outcome.failure
        if failure is not None:
            if failure.kind is not FailureKind.REJECTED:
                return outcome
            # It may be the field that is refused, or all of it: that shows without the field.
            self._books.settle(entry, outcome.status, failure=failure, usage=None)
            errand.refusal = failure.text
            return _directly(errand)
        name = promised_id(outcome.body)
        if not name:
            # An API that does not know the field has simply answered.
            return outcome
        promise = self._books.promised(entry, errand, outcome, name=name)
        await errand.deferral.keep(promise)
        _log.info("broker.answer_deferred", request=entry.request.id, promise=name)
        return Again(next_look(0.0))

    async def _look(self, entry: Entry, errand: Errand, promise: Promise) -> Outcome | Again:
        outcome = await self._upstream.fetch(promise.id)
        failure = outcome.failure
        age = self._clock.wall() - promise.since
        if failure is not None:
            # In an outage the API cannot say that it is lost, and would not answer either.
            outlived = age >= KEPT and entry.retries >= _ENOUGH and not self._books.outage.on
            if failure.kind is not FailureKind.REJECTED and not outlived:
                return outcome
            self._books.settle(entry, outcome.status, failure=failure, usage=None)
            return self._lost(entry, errand, promise, text=failure.text)
        if outcome.body:
            self._books.reclaim(entry, errand, promise)
            return outcome
        self._books.settle(entry, outcome.status, failure=None, usage=None, outcome="pending")
        if age >= KEPT:
            return self._lost(entry, errand, promise, text="no answer within a day")
        errand.pending = True
        # It got an answer, if not the one: failures count from here.
        entry.retries = entry.refusals = entry.looks = entry.full = 0
        return Again(next_look(age))

    def _lost(self, entry: Entry, errand: Errand, promise: Promise, *, text: str) -> Again:
        """Ask anew, and wait for the answer this time: it cannot be lost a second time."""
        _log.warning("broker.promise_lost", request=entry.request.id, promise=promise.id, text=text)
        tokens = errand.tokens
        self._books.release(entry)
        entry.tokens = tokens
        if not errand.pending:
            # Made a moment ago and never known: more such promises would be paid for in vain.
            self._give_up(entry.request.model, text)
        errand.promise = None
        return _directly(errand)

    async def _ask(self, entry: Entry, errand: Errand) -> Outcome:
        outcome = await self._upstream.send(entry.request)
        if outcome.failure is None and errand.refusal:
            self._give_up(entry.request.model, errand.refusal)
        return outcome

    def _give_up(self, model: str, text: str) -> None:
        if model not in self._unable:
            self._unable.add(model)
            _log.warning("broker.deferring_unavailable", model=model, text=text)


def _directly(errand: Errand) -> Again:
    errand.direct = True
    return Again(0.0)
