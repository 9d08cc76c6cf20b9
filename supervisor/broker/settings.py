"""How the broker behaves, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field

from supervisor.budget import Budget
from supervisor.ledger.prices import Prices
from supervisor.limits import Limit


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """How the broker behaves.

    Attributes:
        limits: The key's limits; empty when rate limiting is off.
        jitter: Spread of the delay from grant to arrival, in seconds.
        max_retries: Retries after failures that are not a matter of quota.
        patience: Seconds for which a request that belongs to no job waits while the API answers
            nobody; jobs wait as long as it takes.
        budgets: Money that all classes together may spend.
        prices: What answers cost where the API does not say it.
    """

    limits: tuple[Limit, ...] = ()
    jitter: float = 0.25
    max_retries: int = 3
    patience: float = 120.0
    budgets: tuple[Budget, ...] = ()
    prices: Prices = field(default_factory=Prices)
