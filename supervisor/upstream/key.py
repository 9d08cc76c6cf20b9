"""The key: in memory only, and out of every text."""

from __future__ import annotations

import hashlib
import re

from pydantic import SecretStr

from supervisor.upstream.hidden import SHORTEST, Hidden

_LOOKS_LIKE_A_KEY = re.compile(r"\b(xai|gsk|sk)[-_][A-Za-z0-9_-]{12,}")
_MARK = b"grok-supervisor, fingerprint of a key\0"
"""Stands before what is hashed, so that no table of hashed keys made elsewhere fits."""


class Key:
    """The API key of this process; another may take its place while requests go on.

    Its representation shows nothing, so that a traceback with local variables stays harmless.

    Args:
        secret: The key's text; empty for servers that want none.
    """

    __slots__ = ("_hidden", "_secret", "_whole")

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._hidden = Hidden()
        self._whole: tuple[bytes, ...] = ()
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
        """Keep a text out of every text, as if it were the key.

        One of a few letters is none (`EMPTY` and `x` for a server of one's own, or the beginning
        of a key whose writer was slow): without it every message would have holes.
        """
        text = secret.get_secret_value()
        if len(text) < SHORTEST or text.encode() in self._whole:
            return
        self._hidden.add(text)
        self._whole += (text.encode(),)

    def redact(self, text: str) -> str:
        """The text without any key there was, and without what looks like one.

        Parts of 12 characters count as the key, and so do its forms in base64, hex and a URL.
        """
        # Most texts are headers of numbers: what cannot hold a key is not searched for one.
        if len(text) < SHORTEST:
            return text
        text = self._hidden.blank(text)
        return _LOOKS_LIKE_A_KEY.sub(r"\1-***", text) if "-" in text or "_" in text else text

    def clean(self, answer: bytes) -> bytes:
        """An answer without any key there was; all others pass byte for byte.

        Nobody needs to be told what the API was asked with, and an answer ends up in files.
        """
        for whole in self._whole:
            if whole in answer:
                answer = answer.replace(whole, b"***")
        return answer


def fingerprint(secret: SecretStr) -> str:
    """Eight hex digits that tell keys apart and say nothing of any; empty for no key."""
    text = secret.get_secret_value().encode()
    return hashlib.sha256(_MARK + text).hexdigest()[:8] if text else ""
