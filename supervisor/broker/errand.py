"""How far a request has come whose answer is fetched later. Pure."""

from __future__ import annotations

from supervisor.messages import Deferral, Promise


class Errand:
    """Posted, promised, looked for; or asked directly after all.

    Args:
        deferral: Keeps the promise.

    Attributes:
        deferral: Keeps the promise.
        promise: What is looked for; None before it is promised, and after it was lost.
        direct: It is asked as usual now, and waited for.
        refusal: Why the API would not defer it, as far as it is known; empty when it would.
        pending: The API has said that the answer is still to come.
        tokens: Tokens reserved for the promised answer.
        cost: Ticks of 1e-10 US dollars reserved for it: as many as the promise says, while it is
            waited for. In the ledger they stay so until it is fetched, whoever waits.
    """

    __slots__ = ("cost", "deferral", "direct", "pending", "promise", "refusal", "tokens")

    def __init__(self, deferral: Deferral) -> None:
        self.deferral = deferral
        self.promise: Promise | None = deferral.promise
        self.direct = False
        self.refusal = ""
        # What was promised before is not held against an API that does not know it any more.
        self.pending = self.promise is not None
        self.tokens = 0
        self.cost = 0
