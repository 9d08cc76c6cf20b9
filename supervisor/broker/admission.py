"""Who is let into the queue, with what is likely to be used; who is not hears why at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from supervisor.broker.account import Account
from supervisor.broker.dispatcher import Dispatcher
from supervisor.broker.entry import Entry
from supervisor.broker.full import queue_full
from supervisor.broker.halt import Halt
from supervisor.broker.money import Money, budget_spent
from supervisor.broker.stops import Stops
from supervisor.clock import Clock
from supervisor.errors import DeadlineExceeded, Draining, InvalidRequest, RequestTooLarge
from supervisor.messages import Request

_A_DAY = 86_400.0


class Admission:
    """Lets requests in.

    Args:
        accounts: The classes there are, by name.
        dispatcher: Whose queue it is.
        money: What is left of the budgets.
        halt: Whether the key is refused.
        stops: Whether the process is stopping.
        clock: Tells the time.
        redact: Removes the key from a text.
        state: Tells what everybody is shown: a state, and why when it is not `open`.
    """

    def __init__(  # noqa: PLR0913 - whoever may say no is asked
        self,
        accounts: Mapping[str, Account],
        dispatcher: Dispatcher,
        *,
        money: Money,
        halt: Halt,
        stops: Stops,
        clock: Clock,
        redact: Callable[[str], str],
        state: Callable[[], tuple[str, str]],
    ) -> None:
        self._accounts = accounts
        self._dispatcher = dispatcher
        self._quota = dispatcher.quota
        self._money = money
        self._halt = halt
        self._stops = stops
        self._clock = clock
        self._redact = redact
        self._state = state

    def admit(self, request: Request) -> Entry:
        """A place for a request, not yet in the queue.

        Raises:
            RequestError: It is refused; the class says why.
        """
        account = self._account(request)
        tokens = self._tokens(account, request)
        own = account.traffic_class.priority
        priority = own if request.priority is None else min(own, request.priority)
        entry = Entry(request, owner=account.owner, priority=priority, tokens=tokens)
        if self._money:
            entry.cost = self._money.cost(account, request)
            shortage = self._money.shortage(account, entry.cost)
            # What was promised is paid for already.
            if shortage is not None and not _is_promised(request):
                raise budget_spent(request.traffic_class, shortage)
        if request.deadline is not None:
            self._check_deadline(account, request.deadline, tokens)
            entry.deadline = self._clock.monotonic() + request.deadline
        # Last of all checks: whoever gets through here may be the one that tries a refused key.
        halted = self._halt.error(self._clock.monotonic(), request.id)
        if halted is not None:
            raise halted
        entry.asked_at = self._clock.monotonic()
        account.requests += 1
        return entry

    def _account(self, request: Request) -> Account:
        """Whom it counts for, where that one may ask now."""
        account = self._accounts.get(request.traffic_class)
        if account is None:
            raise InvalidRequest(
                f"no role or client is called {request.traffic_class!r}",
                hint=f"known are: {', '.join(sorted(self._accounts)) or 'none'}",
            )
        if self._redact(request.model) != request.model:
            # It would be written down with what the request used, and shown.
            raise InvalidRequest("expected model to be the name of a model, got: a key")
        if self._stops.draining:
            raise Draining("the supervisor is stopping and takes no new requests", retry_after=5.0)
        if self._stops.long:
            raise self._stops.error()
        waiting = self._dispatcher.scheduler.waiting(account.owner)
        if waiting >= account.traffic_class.queue:
            wait, (state, why) = self._expected(account, waiting), self._state()
            stopped = "" if state == "open" else f"{state}: {why}"
            raise queue_full(request.traffic_class, waiting, wait=wait, stopped=stopped)
        return account

    def _tokens(self, account: Account, request: Request) -> int:
        """Tokens that it is likely to use; 0 where none are counted."""
        largest = self._quota.largest(account.owner)
        if largest is None:
            return 0
        prompt = account.estimator.least(len(request.body))
        if prompt > largest and not _is_promised(request):
            raise RequestTooLarge(
                f"the prompt has some {prompt} tokens at least, a whole window holds {largest}",
                hint="shorten the prompt or raise the tokens limit in quota.limits",
            )
        # How long the answer gets is a guess; what fits by its prompt is let try.
        return min(account.estimator.estimate(len(request.body)), largest)

    def _check_deadline(self, account: Account, deadline: float, tokens: int) -> None:
        """Refuse at once what even an empty queue could not send in time."""
        soonest = self._expected(account, 0, tokens)
        if soonest > deadline:
            raise DeadlineExceeded(
                f"it could go in {soonest:.1f} s at the soonest, its deadline is {deadline:g} s",
                retry_after=soonest - deadline,
            )

    def _expected(self, account: Account, ahead: int, tokens: int = 0) -> float:
        now = self._clock.monotonic()
        at = self._quota.expected(
            account.owner, ahead=ahead, own_ahead=ahead, now=now, tokens=tokens
        )
        # What hangs on an event may come at once.
        return 0.0 if at == float("inf") else min(at - now, _A_DAY)


def _is_promised(request: Request) -> bool:
    return request.deferred is not None and request.deferred.promise is not None
