"""The key: in memory only, and out of every text."""

from __future__ import annotations

import re

_SHORTEST_LOOKALIKE = 15
_LOOKS_LIKE_A_KEY = re.compile(r"\b(xai|gsk|sk)[-_][A-Za-z0-9_-]{12,}")


class Key:
    """The API key of this process.

    Its representation shows nothing, so that a traceback with local variables stays harmless.

    Args:
        secret: The key's text; empty for servers that want none.
    """

    __slots__ = ("_secret", "_shortest")

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._shortest = min(_SHORTEST_LOOKALIKE, len(secret) or _SHORTEST_LOOKALIKE)

    def __repr__(self) -> str:
        return "Key(***)"

    def __reduce__(self) -> str:
        raise TypeError("a key is never pickled: it would end up in files and other processes")

    def authorization(self) -> dict[str, str]:
        """The header to send; none without a key."""
        return {"authorization": f"Bearer {self._secret}"} if self._secret else {}

    def redact(self, text: str) -> str:
        """The text without this key and without anything that looks like one."""
        # Most texts are headers of numbers: what cannot hold a key is not searched for one.
        if len(text) < self._shortest:
            return text
        if self._secret:
            text = text.replace(self._secret, "***")
        return _LOOKS_LIKE_A_KEY.sub(r"\1-***", text) if "-" in text or "_" in text else text
