"""Who calls: by token, by header, by the key an SDK insists on."""

from __future__ import annotations

import pytest

from supervisor.errors import InvalidRequest
from supervisor.web.identity import Doorkeeper

CLASSES = ("gateway", "quality", "editor")
OPEN = Doorkeeper(token="", clients={}, classes=lambda: CLASSES)
TOKEN = Doorkeeper(token="house-token", clients={}, classes=lambda: CLASSES)
BOTH = Doorkeeper(token="house-token", clients={"editor": "ed-token"}, classes=lambda: CLASSES)
CLIENT_ONLY = Doorkeeper(token="", clients={"editor": "ed-token"}, classes=lambda: CLASSES)


@pytest.mark.parametrize(
    ("keeper", "authorization", "role", "name"),
    [
        (OPEN, None, None, "gateway"),
        (OPEN, b"Bearer sk-made-up", None, "gateway"),
        (OPEN, b"Bearer quality", None, "quality"),
        (OPEN, b"bearer  quality ", None, "quality"),
        (OPEN, b"Basic quality", None, "gateway"),
        (OPEN, b"Bearer quality", b"editor", "editor"),
        (OPEN, None, b"gateway", "gateway"),
        (TOKEN, b"Bearer house-token", None, "gateway"),
        (TOKEN, b"Bearer house-token", b"quality", "quality"),
        (BOTH, b"Bearer ed-token", None, "editor"),
        (BOTH, b"Bearer ed-token", b"editor", "editor"),
        (BOTH, b"Bearer house-token", b"editor", "editor"),
        (CLIENT_ONLY, b"Bearer ed-token", None, "editor"),
    ],
)
def test_class_follows_from_token_header_or_key(
    keeper: Doorkeeper, authorization: bytes | None, role: bytes | None, name: str
) -> None:
    """Token first, then the header, then a key that happens to be a name, then the default."""
    assert keeper.identify(authorization, role) == name


@pytest.mark.parametrize(
    ("keeper", "authorization", "role", "status", "text"),
    [
        (OPEN, None, b"editr", 400, 'did you mean "editor"?'),
        (OPEN, None, "früh".encode("latin-1"), 400, "known are: editor, gateway, quality"),
        (TOKEN, None, None, 401, "a bearer token is needed"),
        (TOKEN, b"Bearer ", None, 401, "a bearer token is needed"),
        (TOKEN, b"Bearer quality", None, 401, "not one of ours"),
        (TOKEN, b"Bearer house-token", b"nobody", 400, "known are"),
        (BOTH, b"Bearer ed-token", b"quality", 403, "this token is editor's"),
        (CLIENT_ONLY, None, b"editor", 401, "a bearer token is needed"),
    ],
)
def test_strangers_are_refused(
    keeper: Doorkeeper, authorization: bytes | None, role: bytes | None, status: int, text: str
) -> None:
    """Whoever has no right to a name is told why, and what would be right."""
    with pytest.raises(InvalidRequest) as caught:
        keeper.identify(authorization, role)
    assert caught.value.status == status
    assert text in str(caught.value)


def test_only_the_houses_token_operates() -> None:
    """Roles and queue are for the holder of the house's token, or for all where there is none."""
    assert BOTH.may_operate(b"Bearer house-token")
    assert not BOTH.may_operate(b"Bearer ed-token")
    assert not TOKEN.may_operate(None)
    assert OPEN.may_operate(None)
    assert CLIENT_ONLY.may_operate(None)


def test_tokens_show_nowhere() -> None:
    """Neither the keeper nor its errors show a token, right or wrong."""
    assert "token" not in repr(BOTH).replace("a token", "")
    with pytest.raises(InvalidRequest) as caught:
        BOTH.identify(b"Bearer ed-tokem", None)
    assert "ed-tokem" not in str(caught.value)
    assert "ed-token" not in str(caught.value)
