"""The key over HTTP: how it stands, and looking for a new one."""

from __future__ import annotations

import pytest

from supervisor.upstream.reload import Reload, Result
from tests.web.house import open_house, settings_of

pytestmark = pytest.mark.anyio


async def test_the_key_is_described() -> None:
    """Source, fingerprint and times are shown; before the first look there is no last one."""
    async with open_house() as house:
        document = (await house.client.get("/api/keys")).json()
    assert document == {
        "source": "key.file",
        "fingerprint": "0123abcd",
        "since": 1_800_000_000.0,
        "rotations": 0,
        "last": None,
    }


async def test_a_look_for_a_new_key() -> None:
    """A reload by hand answers with how the key stands afterwards; health shows it too."""
    async with open_house() as house:
        house.keys.next = Reload(Result.REFUSED, "", "the API refused it", "see key.file")
        document = (await house.client.post("/api/keys/reload")).json()
        health = (await house.client.get("/health")).json()
    assert document["last"] == {
        "result": "refused",
        "cause": "by hand",
        "detail": "the API refused it",
        "hint": "see key.file",
        "at": 1_800_000_060.0,
    }
    assert health["key"]["last_reload"] == document["last"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/keys"), ("POST", "/api/keys/reload")])
async def test_only_the_operator(method: str, path: str) -> None:
    """A client's token does not do: the key is the operator's business."""
    settings = settings_of(
        {"web": {"token": "operator"}, "clients": {"editor": {"token_env": "X"}}},
        {"editor": "editor-token"},
    )
    async with open_house(settings=settings) as house:
        client = {"authorization": "Bearer editor-token"}
        operator = {"authorization": "Bearer operator"}
        refused = await house.client.request(method, path, headers=client)
        allowed = await house.client.request(method, path, headers=operator)
        short = await house.client.get("/health", headers=client)
    assert (refused.status_code, allowed.status_code) == (401, 200)
    assert "key" not in short.json()
