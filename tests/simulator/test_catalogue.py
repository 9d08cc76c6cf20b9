"""The endpoints that cost nothing."""

from __future__ import annotations

import pytest
from anyio import sleep

from tests.simulator.bench import OpenBench


async def test_models_are_listed_with_their_context(simulated: OpenBench) -> None:
    """`/models` has the configured models, `/models/{id}` one of them, by alias too."""
    async with simulated() as bench:
        models = (await bench.http.get("/v1/models")).json()
        one = (await bench.http.get("/v1/models/grok-latest")).json()
        none = await bench.http.get("/v1/models/gpt-9")
    assert models["object"] == "list"
    assert [model["id"] for model in models["data"]][:2] == ["grok-4.7", "grok-4.6"]
    assert one == models["data"][0]
    assert one["context_length"] == 500_000
    assert (none.status_code, none.json()["error"]) == (404, "Model not found: gpt-9")


async def test_prices_are_in_ticks_per_token(simulated: OpenBench) -> None:
    """`/language-models` writes $2.00 per million as 20000, so prices and costs agree."""
    async with simulated() as bench:
        listed = (await bench.http.get("/v1/language-models")).json()["models"]
        one = (await bench.http.get("/v1/language-models/grok-4.3")).json()
        none = await bench.http.get("/v1/language-models/gpt-9")
    assert listed[0]["prompt_text_token_price"] == 20_000
    assert listed[0]["cached_prompt_text_token_price"] == 5_000
    assert listed[0]["completion_text_token_price"] == 60_000
    assert (one["id"], one["prompt_text_token_price"]) == ("grok-4.3", 12_500)
    assert none.status_code == 404


@pytest.mark.parametrize(
    ("account", "flags"),
    [("open", (False, False)), ("team_blocked", (True, False)), ("key_blocked", (False, True))],
)
async def test_the_key_tells_whether_it_is_blocked(
    simulated: OpenBench, account: str, flags: tuple[bool, bool]
) -> None:
    """`/api-key` answers for a blocked key too, which makes it a check that costs nothing."""
    async with simulated(account=account) as bench:
        body = (await bench.http.get("/v1/api-key")).json()
    assert (body["team_blocked"], body["api_key_blocked"]) == flags
    assert body["acls"]


async def test_a_key_without_permission_has_no_acls(simulated: OpenBench) -> None:
    """What a key may do is an empty list then."""
    async with simulated(account="no_permission") as bench:
        assert (await bench.http.get("/v1/api-key")).json()["acls"] == []


async def test_tokens_of_a_text_are_listed(simulated: OpenBench) -> None:
    """`/tokenize-text` counts as the usage does, and puts the text together again."""
    async with simulated() as bench:
        body = {"text": "Hello wörld", "model": "grok-4.7"}
        tokens = (await bench.http.post("/v1/tokenize-text", json=body)).json()["token_ids"]
    assert "".join(token["string_token"] for token in tokens) == "Hello wörld"
    assert bytes(byte for token in tokens for byte in token["token_bytes"]).decode() == body["text"]
    assert len(tokens) == 3


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"{", 400, "Failed to parse"),
        (b"[]", 422, "expected a map"),
        (b'{"model": "grok-4.7"}', 422, "missing field `text`"),
        (b'{"model": "grok-4.7", "text": 1}', 422, "text: invalid type: integer `1`"),
        (b'{"model": "gpt-9", "text": "x"}', 404, "Model not found"),
    ],
)
async def test_a_wrong_text_is_refused(
    simulated: OpenBench, body: bytes, status: int, text: str
) -> None:
    """The free endpoints check what they are given as well."""
    async with simulated() as bench:
        response = await bench.http.post("/v1/tokenize-text", content=body)
    assert (response.status_code, text in response.text) == (status, True)


async def test_free_endpoints_count_against_no_limit(simulated: OpenBench) -> None:
    """They use no quota, and the judge does not see them."""
    async with simulated(limits=["1 requests / hour"]) as bench:
        for _ in range(5):
            assert (await bench.http.get("/v1/models")).status_code == 200
        assert bench.simulation.judge.report().attempts == 0
        assert (await bench.chat()).status_code == 200


async def test_a_deferred_answer_is_fetched_once(simulated: OpenBench) -> None:
    """202 without a body until it is ready, then the completion, then nothing."""
    async with simulated(latency="10s", limits=["1 requests / hour"]) as bench:
        name = (await bench.chat("hi", deferred=True)).json()["request_id"]
        path = f"/v1/chat/deferred-completion/{name}"
        early = await bench.http.get(path)
        refused = await bench.chat("hi")
        await sleep(10)
        ready = await bench.http.get(path)
        again = await bench.http.get(path)
    assert (early.status_code, early.content) == (202, b"")
    assert refused.status_code == 429
    assert ready.json()["object"] == "chat.completion"
    assert (again.status_code, again.json()["code"]) == (404, "not-found")


async def test_a_deferred_answer_is_kept_for_a_day(simulated: OpenBench) -> None:
    """Who does not fetch it within 24 hours has lost it."""
    async with simulated() as bench:
        names = [(await bench.chat("hi", deferred=True)).json()["request_id"] for _ in range(2)]
        await sleep(24 * 3600 - 1)
        kept = await bench.http.get(f"/v1/chat/deferred-completion/{names[0]}")
        await sleep(2)
        await bench.chat("hi", deferred=True)
        gone = await bench.http.get(f"/v1/chat/deferred-completion/{names[1]}")
    assert (kept.status_code, gone.status_code) == (200, 404)


async def test_deferred_tokens_count_when_the_answer_is_ready(simulated: OpenBench) -> None:
    """The answer's tokens are booked at that time, whether or not it is fetched."""
    settings = {"latency": "10s", "output_tokens": 100, "reasoning_tokens": 0}
    async with simulated(limits=["50 tokens / minute"], **settings) as bench:
        await bench.chat("hi", deferred=True)
        before = bench.simulation.judge.report().tokens
        await sleep(11)
        refused = await bench.chat("hi")
        after = bench.simulation.judge.report().tokens
    assert (before, after - before) == (5, 105)
    assert "Tokens per Minute (actual/limit): 110/50" in refused.json()["error"]
