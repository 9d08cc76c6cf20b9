"""Limits, keys, accounts and faults, as a client meets them; in virtual time."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest

from supervisor.clock import LoopClock
from tests.simulator.bench import KEY, OpenBench, events_of


async def test_a_request_over_the_limit_is_refused_in_the_api_s_words(
    simulated: OpenBench,
) -> None:
    """429 with code, actual and limit; no Retry-After, as the real API sends none."""
    async with simulated(limits=["100 requests / minute"]) as bench:
        statuses = [(await bench.chat()).status_code for _ in range(100)]
        refused = await bench.chat()
    assert statuses == [200] * 100
    assert refused.status_code == 429
    assert refused.json()["code"] == "resource-exhausted"
    assert "Requests per Minute (actual/limit): 101/100" in refused.json()["error"]
    assert "retry-after" not in refused.headers
    assert "x-ratelimit-limit-requests" not in refused.headers
    assert refused.headers["x-request-id"]


async def test_a_request_over_the_tokens_is_refused(simulated: OpenBench) -> None:
    """A prompt that does not fit names the tokens it would have come to."""
    async with simulated(limits=["1000 tokens / minute"]) as bench:
        refused = await bench.chat("y" * 8000)
    assert "Too many tokens for team" in refused.json()["error"]
    assert "Tokens per Minute (actual/limit): 2004/1000" in refused.json()["error"]


async def test_answers_count_against_the_tokens(simulated: OpenBench) -> None:
    """Completion and reasoning fill the window when the answer is complete."""
    settings: dict[str, Any] = {"output_tokens": 500, "reasoning_tokens": 600}
    async with simulated(limits=["1000 tokens / minute"], **settings) as bench:
        first, second = await bench.chat(), await bench.chat()
        await anyio.sleep(60)
        third = await bench.chat()
    assert first.headers["x-ratelimit-remaining-tokens"] == "0"
    assert [response.status_code for response in (first, second, third)] == [200, 429, 200]


async def test_successes_say_what_is_left(simulated: OpenBench) -> None:
    """Limit and remaining of the first limit of each unit, streamed or not."""
    limits = ["3 requests / second", "1000 tokens / minute"]
    async with simulated(limits=limits, output_tokens=10, reasoning_tokens=0) as bench:
        plain, stream = await bench.chat(), await bench.chat(stream=True)
    assert plain.headers["x-ratelimit-limit-requests"] == "3"
    assert plain.headers["x-ratelimit-remaining-requests"] == "2"
    assert plain.headers["x-ratelimit-limit-tokens"] == "1000"
    assert plain.headers["x-ratelimit-remaining-tokens"] == str(1000 - 6 - 10)
    assert stream.headers["x-ratelimit-remaining-requests"] == "1"


async def test_a_window_that_passed_has_room_again(simulated: OpenBench) -> None:
    """The limit is one of time: a period later the next request is served."""
    async with simulated(limits=["1 requests / second", "2 requests / minute"]) as bench:
        statuses: list[int] = []
        for pause in (0, 0.5, 0.5, 1, 57.9, 0.2):
            await anyio.sleep(pause)
            statuses.append((await bench.chat()).status_code)
    assert statuses == [200, 429, 200, 429, 429, 200]


@pytest.mark.parametrize(("wall", "offset", "edge"), [(0, 0, 60), (40, 0, 20), (40, 15, 35)])
async def test_fixed_windows_are_aligned_to_the_epoch(
    wall: float, offset: float, edge: float, simulated: OpenBench
) -> None:
    """A minute begins when the wall clock says so, not when the simulator started."""
    clock = LoopClock(1_800_000_000.0 + wall)
    settings: dict[str, Any] = {"kind": "fixed_window", "offset": offset}
    async with simulated(clock, limits=["1 requests / minute"], **settings) as bench:
        statuses: list[int] = []
        for now in (edge - 1, edge - 0.1, edge + 0.1):
            await anyio.sleep_until(now)
            statuses.append((await bench.chat()).status_code)
    assert statuses == [200, 429, 200]


async def test_a_refusal_comes_at_once_and_an_answer_takes_its_time(
    simulated: OpenBench, virtual: LoopClock
) -> None:
    """The limits decide on arrival; only answers wait for the latency."""
    async with simulated(limits=["1 requests / hour"], latency="20s") as bench:
        took: dict[int, float] = {}

        async def ask() -> None:
            began = virtual.monotonic()
            response = await bench.chat()
            took[response.status_code] = virtual.monotonic() - began

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            tasks.start_soon(ask)
    assert took[200] == pytest.approx(20)
    assert took[429] < 0.001


async def test_what_travels_is_counted_when_it_arrives(
    simulated: OpenBench, virtual: LoopClock
) -> None:
    """With a transit time the arrival is later than the sending, by up to the jitter."""
    async with simulated(transit="1s", transit_jitter="2s") as bench:
        began = virtual.monotonic()
        for _ in range(20):
            await bench.chat()
        report = bench.simulation.judge.report()
    assert 20 <= virtual.monotonic() - began <= 60
    assert 19 <= report.seconds <= 57


async def test_latency_varies_by_the_jitter(simulated: OpenBench, virtual: LoopClock) -> None:
    """An answer takes from `latency` to `latency + jitter`, another time each."""
    async with simulated(latency="1s", jitter="1s") as bench:
        times: list[float] = []
        for _ in range(50):
            began = virtual.monotonic()
            await bench.chat()
            times.append(virtual.monotonic() - began)
    assert 1.0 <= min(times) < 1.1
    assert 1.9 < max(times) <= 2.001


async def test_a_scripted_delay_takes_the_place_of_the_latency(
    simulated: OpenBench, virtual: LoopClock
) -> None:
    """A rule can be slow where everything else is fast."""
    async with simulated(script=[{"answer": "a", "delay": "30s"}]) as bench:
        await bench.chat()
    assert virtual.monotonic() == pytest.approx(30)


async def test_a_stream_takes_its_time_between_events(
    simulated: OpenBench, virtual: LoopClock
) -> None:
    """The latency is before the first event, `chunk_delay` before each other one."""
    settings: dict[str, Any] = {"script": [{"answer": "abcd"}], "chunk_delay": "1s"}
    async with simulated(latency="5s", **settings) as bench:
        events = events_of(await bench.chat(stream=True))
    assert virtual.monotonic() == pytest.approx(5 + len(events) - 1)


@pytest.mark.parametrize(
    ("authorization", "status", "text"),
    [
        (None, 401, "No API key provided"),
        ("Basic abc", 401, "No API key provided"),
        ("Bearer gsk_0123", 400, "Incorrect API key provided: gsk***"),
        ("Bearer xai-another", 400, "Incorrect API key provided: xai***"),
        (f"bearer {KEY}", 200, "chat.completion"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models"])
async def test_only_the_right_key_comes_in(
    simulated: OpenBench, path: str, authorization: str | None, status: int, text: str
) -> None:
    """No key is 401, a wrong one 400, and its text is masked."""
    async with simulated(key=KEY) as bench:
        del bench.http.headers["authorization"]
        headers = {} if authorization is None else {"authorization": authorization}
        if path == "/v1/models":
            response = await bench.http.get(path, headers=headers)
        else:
            bench.http.headers.update(headers)
            response = await bench.chat()
    assert response.status_code == status
    assert text in response.text or (status == 200 and path == "/v1/models")


async def test_any_key_that_looks_right_does_where_none_is_set(simulated: OpenBench) -> None:
    """Without a configured key a prefix of `xai-` is enough."""
    async with simulated() as bench:
        bench.http.headers["authorization"] = "Bearer xai-whatever"
        assert (await bench.chat()).status_code == 200


async def test_an_error_can_echo_the_key(simulated: OpenBench) -> None:
    """Some gateways repeat the key: who passes errors on has to redact it."""
    async with simulated(key=KEY, echo_key=True) as bench:
        bench.http.headers["authorization"] = "Bearer xai-wrong-key"
        assert "xai-wrong-key" in (await bench.chat()).text


@pytest.mark.parametrize(
    ("account", "status", "text"),
    [
        ("no_credits", 429, "used all available credits"),
        ("spending_limit", 403, "personal-team-blocked:spending-limit"),
        ("key_blocked", 403, "API key is blocked"),
        ("team_blocked", 403, "is blocked"),
        ("no_permission", 403, "does not have permission"),
    ],
)
async def test_an_account_that_cannot_be_used_says_why(
    simulated: OpenBench, account: str, status: int, text: str
) -> None:
    """Waiting helps none of them, so no Retry-After comes either."""
    async with simulated(account=account, retry_after=5) as bench:
        response = await bench.chat()
    assert (response.status_code, text in response.text) == (status, True)
    assert "retry-after" not in response.headers


async def test_a_closed_model_has_a_limit_of_nothing(simulated: OpenBench) -> None:
    """`0/0` looks like a quota refusal and is none: the judge does not count it as one."""
    async with simulated(closed_models=["grok-4.7"], retry_after=5) as bench:
        closed, other = await bench.chat(), await bench.chat(model="grok-4.6")
    assert (closed.status_code, other.status_code) == (429, 200)
    assert "Requests per Minute (actual/limit): 0/0" in closed.json()["error"]
    assert "retry-after" not in closed.headers
    assert bench.simulation.judge.report().refused == 0


async def test_headers_about_retrying_come_where_they_are_set(simulated: OpenBench) -> None:
    """A Retry-After on refusals for quota, `x-should-retry` on every error."""
    limits = ["1 requests / hour"]
    async with simulated(limits=limits, retry_after="1.5s", should_retry=False) as bench:
        await bench.chat()
        refused = await bench.chat()
    assert refused.headers["retry-after"] == "1.5"
    assert refused.headers["x-should-retry"] == "false"


async def test_codes_can_be_the_old_sentences(simulated: OpenBench) -> None:
    """Both forms of code are still met, so both can be tried."""
    async with simulated(limits=["1 requests / hour"], sentence_codes=True) as bench:
        await bench.chat()
        refused, missing = await bench.chat(), await bench.http.get("/v1/models/x")
    assert refused.json()["code"] == "Some resource has been exhausted"
    assert missing.json()["code"] == "Some requested entity was not found"


async def test_no_capacity_is_not_our_quota(simulated: OpenBench) -> None:
    """429 "temporarily at capacity" is no refusal for the judge."""
    async with simulated(faults={"capacity": 1}, retry_after=5) as bench:
        response = await bench.chat()
    assert response.status_code == 429
    assert "temporarily at capacity" in response.json()["error"]
    assert "retry-after" not in response.headers
    assert bench.simulation.judge.report().refused == 0


async def test_server_errors_are_of_several_kinds(simulated: OpenBench) -> None:
    """5xx come with a flat JSON body, Cloudflare's with HTML."""
    async with simulated(faults={"server_error": 0.5, "html_error": 0.5}) as bench:
        responses = [await bench.chat() for _ in range(60)]
    flat = [r for r in responses if r.headers["content-type"] == "application/json"]
    html = [r for r in responses if r.headers["content-type"].startswith("text/html")]
    assert {r.status_code for r in flat} == {500, 502, 503, 504}
    assert {r.status_code for r in html} == {502, 520, 521, 522, 523, 524}
    assert all(r.json().keys() == {"code", "error"} for r in flat)
    assert all(r.text.startswith("<!DOCTYPE html>") for r in html)


async def test_an_error_can_come_inside_a_stream(simulated: OpenBench) -> None:
    """The status was 200 already: the error is an event, and no `[DONE]` follows."""
    async with simulated(faults={"stream_error": 1}) as bench:
        stream, plain = await bench.chat(stream=True), await bench.chat()
    assert stream.status_code == 200
    assert events_of(stream) == [
        {
            "code": "The service is currently unavailable",
            "error": "Timed out waiting for first token",
        }
    ]
    assert plain.json()["object"] == "chat.completion"
    assert bench.simulation.report()["outcomes"] == {"200": 1, "stream_error": 1}


@pytest.mark.parametrize("fault", ["cut", "cut_stream", "stall_stream"])
async def test_without_a_socket_a_cut_is_an_error(simulated: OpenBench, fault: str) -> None:
    """In one process a cut connection shows as ConnectionResetError."""
    async with simulated(faults={fault: 1, "stall": "2m"}) as bench:
        with pytest.raises(ConnectionResetError):
            await bench.chat(stream=True)


async def test_attempts_that_go_wrong_count(simulated: OpenBench) -> None:
    """Whatever befalls a request, it took its room."""
    async with simulated(limits=["2 requests / hour"], faults={"server_error": 1}) as bench:
        statuses = [(await bench.chat()).status_code for _ in range(3)]
    assert statuses[2] == 429
    assert min(statuses[:2]) >= 500


async def test_malformed_requests_count(simulated: OpenBench) -> None:
    """The limits come before the arguments are looked at; a wrong key does not count."""
    async with simulated(limits=["1 requests / hour"]) as bench:
        bench.http.headers["authorization"] = "Bearer wrong"
        await bench.chat()
        bench.http.headers["authorization"] = f"Bearer {KEY}"
        statuses = [(await bench.chat(temperature="hot")).status_code for _ in range(2)]
    assert statuses == [422, 429]
    assert bench.simulation.judge.report().attempts == 3


async def test_the_same_arrivals_have_the_same_fate(simulated: OpenBench) -> None:
    """Seed and order of arrival decide everything: ids, faults, lengths, times."""
    settings: dict[str, Any] = {
        "faults": {"server_error": 0.2, "html_error": 0.1, "capacity": 0.2},
        "jitter": "1s",
        "output_spread": 20,
    }

    async def run(seed: int) -> list[tuple[int, bytes]]:
        async with simulated(seed=seed, **settings) as bench:
            responses = [await bench.chat() for _ in range(30)]
            return [(r.status_code, _without_time(r)) for r in responses]

    assert await run(1) == await run(1)
    assert await run(1) != await run(2)


def _without_time(response: httpx.Response) -> bytes:
    body, _, rest = response.content.partition(b'"created":')
    return body + rest[10:]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("GET", "/v1/chat/completions", 405), ("GET", "/", 404)],
)
async def test_other_paths_are_refused_flatly(
    simulated: OpenBench, method: str, path: str, status: int
) -> None:
    """Even an unknown path has the flat error and a request id."""
    async with simulated() as bench:
        response = await bench.http.request(method, path)
    assert response.status_code == status
    assert response.json().keys() == {"code", "error"}
    assert response.headers["x-request-id"]
