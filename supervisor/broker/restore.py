"""What was sent before a restart counts on: the windows are read back from the ledger."""

from __future__ import annotations

from supervisor.broker.account import Account
from supervisor.broker.dispatcher import Dispatcher
from supervisor.clock import Clock
from supervisor.ledger.ledger import Ledger
from supervisor.messages import TrafficClass


async def restore_windows(
    dispatcher: Dispatcher, accounts: dict[str, Account], *, ledger: Ledger, clock: Clock
) -> None:
    """Count the attempts that may still lie in a window.

    Args:
        dispatcher: Whose windows are filled.
        accounts: The classes there are, by name; one that is no more is made.
        ledger: Where the attempts are.
        clock: Tells the time.

    Raises:
        StoreError: The ledger cannot be read.
    """
    now, wall, quota = clock.monotonic(), clock.wall(), dispatcher.quota
    ends: list[tuple[float, int, int]] = []
    for attempt in await ledger.spent_since(wall - quota.longest()):
        account = accounts.get(attempt.traffic_class)
        owner = (
            account.owner if account else dispatcher.set_class(TrafficClass(attempt.traffic_class))
        )
        # A clock set back must not make an attempt look newer than now.
        quota.restore(owner, now - max(0.0, wall - attempt.granted))
        # What was under way when the process died may be finished by the API this moment.
        ended = wall if attempt.ended is None else attempt.ended
        ends.append((now - max(0.0, wall - ended), owner, attempt.tokens))
    for at, owner, tokens in sorted(ends):
        quota.restore_tokens(owner, tokens, at)
