"""Numbers the gateway's calls, and finds one that is under way by the name its client gave it.

The id of a call is known to its client only with the answer, when nobody waits any more. So a
client may send an `X-Client-Request-Id` of its own and ask with it why it waits.
"""

from __future__ import annotations

import itertools
import secrets


class Calls:
    """Ids of gateway calls; unique over restarts, since the ledger keeps them."""

    __slots__ = ("_next", "_prefix", "_under_way")

    def __init__(self) -> None:
        self._prefix = f"gw-{secrets.token_hex(4)}-"
        self._next = itertools.count(1)
        self._under_way: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Calls {self._prefix}*: {len(self._under_way)} under way with names of their own>"

    def begin(self, alias: str) -> str:
        """The id of a new call.

        Args:
            alias: The client's name for it; empty when it gave none.
        """
        call = f"{self._prefix}{next(self._next)}"
        if alias:
            self._under_way[alias] = call
        return call

    def end(self, alias: str, call: str) -> None:
        """Forget the client's name for a call that has ended."""
        # A client may have given the same name to a second call meanwhile.
        if alias and self._under_way.get(alias) == call:
            del self._under_way[alias]

    def find(self, name: str) -> str:
        """The id of the call that a client calls so; `name` itself where it is no such name."""
        return self._under_way.get(name, name)
