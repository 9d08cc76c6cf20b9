"""Who may come in at all, and what is said when something breaks inside."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from supervisor.errors import StoreError
from tests.web.house import CHAT, KEY, QUESTION, open_house, settings_of

pytestmark = pytest.mark.anyio

TOKENS = {"web": {"token": "house-token-1234"}, "clients": {"editor": {"token_env": "EDITOR"}}}
CLIENT = {"editor": "ed-token-5678"}
HOUSE = {"authorization": "Bearer house-token-1234"}
EDITOR = {"authorization": "Bearer ed-token-5678"}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"host": "evil.example:8420"},
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/health", "/api/pause", "/"])
async def test_foreign_pages_are_refused_everywhere(headers: dict[str, str], path: str) -> None:
    """A page of another origin gets 403 at every door, and nothing happens."""
    async with open_house() as house:
        response = await house.client.post(path, json=QUESTION, headers=headers)
        state = house.broker.snapshot().state
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "foreign_origin"
    assert state == "open"
    assert not house.api.seen


async def test_with_a_token_any_host_name_will_do() -> None:
    """Behind a tunnel or a proxy the house has another name; the token tells friends apart."""
    async with open_house(settings=settings_of(TOKENS, CLIENT)) as house:
        response = await house.client.get("/readyz", headers={"host": "team.example"})
    assert response.status_code == 200


async def test_own_page_may_act() -> None:
    """A page of our own origin may do what a program may."""
    async with open_house() as house:
        response = await house.client.post(
            "/api/pause", headers={"origin": "http://127.0.0.1:8420"}
        )
    assert response.json() == {"state": "paused", "reason": "by hand"}


@pytest.mark.parametrize(
    "path", ["/api/queue", "/api/stats", "/api/jobs", "/api/roles", "/api/usage", "/metrics"]
)
async def test_operating_needs_the_houses_token(path: str) -> None:
    """With a token set, only its holder looks inside; a client's token opens the gateway."""
    async with open_house(settings=settings_of(TOKENS, CLIENT)) as house:
        nobody = await house.client.get(path)
        editor = await house.client.get(path, headers=EDITOR)
        holder = await house.client.get(path, headers=HOUSE)
    assert nobody.status_code == editor.status_code == 401
    assert nobody.headers["www-authenticate"] == "Bearer"
    assert holder.status_code == 200


async def test_load_balancers_need_no_token() -> None:
    """Liveness, readiness and a short health report are open; the long one is not."""
    async with open_house(settings=settings_of(TOKENS, CLIENT)) as house:
        live = await house.client.get("/livez")
        ready = await house.client.get("/readyz")
        short = await house.client.get("/health")
        long = await house.client.get("/health", headers=HOUSE)
    assert live.status_code == ready.status_code == 200
    assert set(short.json()) == {"status", "version", "uptime_s"}
    assert "windows" in long.json()


async def test_clients_own_token_is_its_name() -> None:
    """A client's token names its class; a wrong one is refused before the body is looked at."""
    async with open_house(settings=settings_of(TOKENS, CLIENT)) as house:
        right = await house.client.post(CHAT, json=QUESTION, headers=EDITOR)
        wrong = await house.client.post(CHAT, content=b"{", headers={"authorization": "Bearer no"})
    assert right.headers["x-supervisor-role"] == "editor"
    assert wrong.status_code == 401
    assert wrong.json()["error"]["type"] == "authentication_error"


async def test_crash_inside_is_told_without_its_details() -> None:
    """An unexpected error becomes a plain 500 in the form of all errors, without its text."""
    async with open_house() as house:

        def broken() -> None:
            raise ZeroDivisionError("a detail")

        house.team.snapshot = broken  # type: ignore[method-assign, assignment]
        with capture_logs() as events:
            response = await house.client.get("/api/roles")
    assert [one["event"] for one in events][:1] == ["web.request_crashed"]
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "request_failed"
    assert "a detail" not in response.text


PATHS = (
    f"/api/jobs/{KEY}",
    f"/api/jobs/{KEY}/",
    f"/api/jobs/j1?wait={KEY}",
    f"/api/jobs?status={KEY}",
    f"/api/jobs?limit={KEY}",
    f"/api/search?q=x&limit={KEY}",
    f"/api/why/{KEY}",
    f"/dashboard/{KEY}",
    f"/v1/models/{KEY}",
    f"/{KEY}?{KEY}",
)
"""With a key where no key belongs."""


@pytest.mark.parametrize(
    ("method", "path", "extra"),
    [
        ("POST", "/api/jobs", {"json": {"role": KEY, "input": "x"}}),
        ("POST", "/api/jobs", {"json": {"role": "quality", "input": "x", "priority": KEY}}),
        ("POST", "/api/jobs", {"json": {"role": "quality", KEY: "x" * 40}}),
        ("POST", "/api/jobs", {"json": {"role": ["x" * 40, KEY]}}),
        ("POST", "/api/jobs/retry", {"json": {KEY: 1}}),
        ("POST", "/api/memory/forget", {"json": {"folder": f"/{KEY}"}}),
        ("POST", "/api/memory", {"json": {"folder": f"/nowhere/{KEY}"}}),
        ("POST", f"/api/why/{KEY}", {}),
        ("POST", f"/api/roles/{KEY}/stop", {}),
        ("POST", f"/api/schedules/{KEY}/run", {}),
        *(("GET", path, {}) for path in PATHS),
        ("GET", "/health", {"headers": {"host": f"{KEY}.example"}}),
        ("GET", "/health", {"headers": {"origin": f"http://{KEY}"}}),
        ("POST", CHAT, {"json": {**QUESTION, "model": [KEY]}}),
        ("POST", CHAT, {"json": {**QUESTION, "model": KEY + "x" * 200}}),
        ("POST", CHAT, {"json": {**QUESTION, "stream": KEY}}),
        ("POST", CHAT, {"json": [KEY]}),
        ("POST", CHAT, {"json": QUESTION, "headers": {"x-supervisor-role": KEY}}),
        ("POST", CHAT, {"json": QUESTION, "headers": {"x-supervisor-role": "x" * 48 + KEY}}),
        ("POST", CHAT, {"json": QUESTION, "headers": {"x-supervisor-deadline": KEY}}),
    ],
)
async def test_a_key_in_a_wrong_place_is_not_told_back(
    method: str, path: str, extra: dict[str, Any]
) -> None:
    """An error names what was wrong without the key, and is as long as it says."""
    async with open_house() as house:
        house.api.refuse(404, {"code": "not-found", "error": f"no model {KEY}"})
        response = await house.client.request(method, path, **extra)
    assert response.status_code >= 300
    assert KEY[:12] not in f"{response.text} {response.headers}"
    assert int(response.headers["content-length"]) == len(response.content)
    if response.content:
        assert response.json()["code"]


async def test_errors_of_the_tree_keep_their_words() -> None:
    """An error of ours, raised anywhere, is told as it is."""
    async with open_house() as house:

        async def broken() -> None:
            raise StoreError("the store is gone")

        house.hub.ledger.usage = broken  # type: ignore[method-assign, assignment]
        response = await house.client.get("/api/usage")
    assert response.status_code == 503
    assert response.json()["error"]["message"] == "the store is gone"


async def test_anything_but_http_is_ignored() -> None:
    """A protocol that we do not speak gets no answer and does no harm."""
    async with open_house() as house:
        await house.app({"type": "websocket", "path": "/"}, _never, _nothing)


async def _never() -> dict[str, str]:
    raise AssertionError("nothing is to be received")


async def _nothing(message: object) -> None:
    raise AssertionError("nothing is to be sent")
