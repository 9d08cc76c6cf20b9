"""Says for which traffic class a caller asks, and who may operate the house. Pure.

Three situations. With tokens, a client's own token is its name, and the house's token may speak
for anybody. Without any token (only on loopback) there is nothing to protect, and a caller names
itself: by header, or by the API key its SDK insists on anyway.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256

from supervisor.errors import InvalidRequest
from supervisor.web.refusal import denied

DEFAULT_CLASS = "gateway"
"""The class of callers that do not say who they are; it always exists."""


class Doorkeeper:
    """Knows the tokens, as digests only.

    Args:
        token: The house's token; empty when there is none.
        clients: Each client's own token, by client.
        classes: Names of all traffic classes there are now.
    """

    def __init__(
        self,
        *,
        token: str,
        clients: Mapping[str, str],
        classes: Callable[[], Collection[str]],
    ) -> None:
        self._operator = _digest(token.encode()) if token else None
        self._clients = {_digest(secret.encode()): name for name, secret in clients.items()}
        self._classes = classes
        self._open = not token and not clients

    def __repr__(self) -> str:
        token = "a token" if self._operator else "no token"
        return f"<Doorkeeper: {token}, {len(self._clients)} clients with their own>"

    def may_operate(self, authorization: bytes | None) -> bool:
        """Whether the caller may use more than the gateway.

        Args:
            authorization: The `Authorization` header as received.
        """
        # A digest is looked up, so the time that takes tells nothing about the token.
        return self._operator is None or _digest(_bearer(authorization)) == self._operator

    def identify(self, authorization: bytes | None, role: bytes | None) -> str:
        """The traffic class of a gateway call.

        Args:
            authorization: The `Authorization` header as received.
            role: The `X-Supervisor-Role` header as received.

        Raises:
            InvalidRequest: With status 401 (no or a wrong token), 403 (a client that names
                another) or 400 (an unknown name).
        """
        bearer = _bearer(authorization)
        if self._open:
            return self._named(role) if role else self._guess(bearer)
        digest = _digest(bearer)
        if digest == self._operator:
            return self._named(role) if role else DEFAULT_CLASS
        client = self._clients.get(digest)
        if client is None:
            raise _unauthorized(given=bool(bearer))
        if role and role.decode("latin-1") != client:
            raise denied(
                f"this token is {client}'s, it cannot speak for {_shown(role)}",
                status=403,
                code="wrong_client",
            )
        return client

    def _named(self, role: bytes) -> str:
        name = role.decode("latin-1")
        classes = self._classes()
        if name in classes or name == DEFAULT_CLASS:
            return name
        known = sorted({*classes, DEFAULT_CLASS})
        near = difflib.get_close_matches(name, known, n=1)
        guess = f'did you mean "{near[0]}"? ' if near else ""
        raise InvalidRequest(
            f"expected X-Supervisor-Role to name a role or client, got: {_shown(role)}",
            hint=f"{guess}known are: {', '.join(known)}",
        )

    def _guess(self, bearer: bytes) -> str:
        """The class a bearer value names; most are made up, since SDKs insist on some key."""
        name = bearer.decode("latin-1")
        return name if name in self._classes() else DEFAULT_CLASS


def _unauthorized(*, given: bool) -> InvalidRequest:
    what = "the bearer token is not one of ours" if given else "a bearer token is needed"
    return denied(
        what,
        status=401,
        code="invalid_token",
        hint="send the supervisor's or a client's token as the API key, never the API's own key",
    )


def _bearer(authorization: bytes | None) -> bytes:
    if authorization is None:
        return b""
    scheme, _, value = authorization.partition(b" ")
    return value.strip() if scheme.lower() == b"bearer" else b""


def _digest(secret: bytes) -> bytes:
    return sha256(secret).digest()


def _shown(text: bytes) -> str:
    return f'"{text[:64].decode("latin-1")}"'
