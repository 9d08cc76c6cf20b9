"""What became of an attempt that was answered in one piece."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from supervisor.messages import Usage
from supervisor.upstream.failures import Failure


@dataclass(frozen=True, slots=True)
class Outcome:
    """An attempt's end.

    Attributes:
        status: HTTP status; 0 when no response came.
        headers: Response headers worth passing on, lower-case names.
        body: The body as received; the key is removed from errors.
        failure: What went wrong; None for an answer.
        usage: Tokens and price; None when the API did not say.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    failure: Failure | None
    usage: Usage | None
