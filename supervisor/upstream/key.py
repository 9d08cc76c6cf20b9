"""The key: in memory only, and out of every text."""

from __future__ import annotations

import hashlib
import re

from pydantic import SecretStr

_BEGINNING = 12
"""Characters of a key that are too many; errors cut the value they tell, and a key in it."""
_LOOKS_LIKE_A_KEY = re.compile(r"\b(xai|gsk|sk)[-_][A-Za-z0-9_-]{12,}")
_MARK = b"grok-supervisor, fingerprint of a key\0"
"""Stands before what is hashed, so that no table of hashed keys made elsewhere fits."""


class Key:
    """The API key of this process; another may take its place while requests go on.

    Its representation shows nothing, so that a traceback with local variables stays harmless.

    Args:
        secret: The key's text; empty for servers that want none.
    """

    __slots__ = ("_beginnings", "_hidden", "_secret", "_shortest")

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._hidden: tuple[str, ...] = ()
        self._beginnings: tuple[str, ...] = ()
        self._shortest = _BEGINNING
        self.hide(SecretStr(secret))

    def __repr__(self) -> str:
        return "Key(***)"

    def __reduce__(self) -> str:
        raise TypeError("a key is never pickled: it would end up in files and other processes")

    @property
    def fingerprint(self) -> str:
        """Tells keys apart without any part of one: 8 hex digits of a hash; empty without a key."""
        return fingerprint(SecretStr(self._secret))

    def authorization(self) -> dict[str, str]:
        """The header to send; none without a key."""
        return {"authorization": f"Bearer {self._secret}"} if self._secret else {}

    def change(self, secret: SecretStr) -> None:
        """Send another one from the next attempt on; the old one stays out of every text."""
        self.hide(secret)
        self._secret = secret.get_secret_value()

    def hide(self, secret: SecretStr) -> None:
        """Keep a text out of every text, as if it were the key."""
        text = secret.get_secret_value()
        if not text:
            return
        hidden = {*self._hidden, text, *(text[:end] for end in range(_BEGINNING, len(text)))}
        # The longest first: one may begin like another.
        self._hidden = tuple(sorted(hidden, key=len, reverse=True))
        self._beginnings = tuple({*self._beginnings, text[:_BEGINNING]})
        self._shortest = min(map(len, self._beginnings))

    def redact(self, text: str) -> str:
        """The text without any key there was, whole or cut, and without what looks like one."""
        # Most texts are headers of numbers: what cannot hold a key is not searched for one.
        if len(text) < self._shortest:
            return text
        for beginning in self._beginnings:
            if beginning in text:
                for secret in self._hidden:
                    text = text.replace(secret, "***")
        return _LOOKS_LIKE_A_KEY.sub(r"\1-***", text) if "-" in text or "_" in text else text


def fingerprint(secret: SecretStr) -> str:
    """Eight hex digits that tell keys apart and say nothing of any; empty for no key."""
    text = secret.get_secret_value().encode()
    return hashlib.sha256(_MARK + text).hexdigest()[:8] if text else ""
