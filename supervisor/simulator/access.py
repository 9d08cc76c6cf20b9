"""Who may come in: the key, then the account, as the API looks at them."""

from __future__ import annotations

from supervisor.simulator import failures
from supervisor.simulator.failures import Failure
from supervisor.simulator.settings import Settings


def bearer(authorization: bytes | None) -> str:
    """The token in an Authorization header, empty where there is none."""
    if authorization is None:
        return ""
    scheme, _, token = authorization.decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def key_failure(settings: Settings, key: str) -> Failure | None:
    """What is wrong with the key, None when it is right."""
    if not key:
        return failures.no_key()
    expected = settings.key
    right = key.startswith("xai-") if expected is None else key == expected.get_secret_value()
    return None if right else failures.wrong_key(key, whole=settings.echo_key)


def account_failure(settings: Settings) -> Failure | None:
    """Why the account cannot be used, None when it can."""
    return failures.ACCOUNT_FAILURES.get(settings.account)
