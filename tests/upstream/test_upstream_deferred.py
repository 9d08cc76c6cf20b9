"""Deferred completions on the wire: the field, the id, the path, and how often to look."""

from __future__ import annotations

import gc
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.messages import Request, Usage
from supervisor.upstream.deferred import (
    KEPT,
    LONGEST,
    SOONEST,
    deferring,
    next_look,
    path_of,
    promised_id,
)
from supervisor.upstream.failures import FailureKind
from tests.upstream.api import BROKEN, FAKE_KEY, JSON, Answer, ScriptedApi, flat, upstream_of


@pytest.mark.parametrize("body", [b'{"model":"m","n":1.50}', b' {"model": "m"\n}\n', b'{"a":{}}'])
def test_one_field_more(body: bytes) -> None:
    """The body gets one field, and all other bytes stay as they are."""
    request = Request(id="a", traffic_class="code", body=body)
    document = orjson.loads(deferring(request).body)
    assert document.pop("deferred") is True
    assert document == orjson.loads(body)
    assert deferring(request).body.startswith(body.rstrip()[:-1].rstrip())


@pytest.mark.parametrize(
    ("document", "name"),
    [
        ({"request_id": "9ae64b0a-0000-4000-8000-000000000001"}, None),
        ({"request_id": "a/b c", "status": "queued"}, None),
        ({"request_id": "one", "choices": []}, ""),
        ({"choices": [{"index": 0}]}, ""),
        ({"request_id": 7}, ""),
        ({"request_id": ""}, ""),
        ({"request_id": ".."}, ""),
        ({"request_id": "x" * 300}, ""),
        ({"error": "no"}, ""),
    ],
)
def test_what_is_a_promise(document: dict[str, object], name: str | None) -> None:
    """An id that could be fetched, where there is no answer already; all else is the answer."""
    expected = document.get("request_id") if name is None else name
    assert promised_id(orjson.dumps(document)) == expected


@pytest.mark.parametrize("name", ["one-2", "a/b", "../x", "a?b#c", "%2f", "a b\\", "\u00fc\n"])
def test_an_id_is_one_step_of_the_path(name: str) -> None:
    """Whatever the API calls its answers, their path leads nowhere else."""
    path = path_of(name)
    assert path.count("/") == 3
    assert not set(path) & set("?# \\\n")


@given(st.floats(0.0, 2 * KEPT))
@settings(max_examples=50)
def test_found_at_most_as_late_again(ready: float) -> None:
    """An answer is found after at most twice its time, and never more than five minutes late."""
    looked, looks = 0.0, 0
    while looked < ready or not looks:
        looked += next_look(looked)
        looks += 1
    assert looked - ready <= min(max(ready, SOONEST), LONGEST)
    assert looks <= 9 + ready / LONGEST


async def test_an_answer_is_fetched() -> None:
    """With 202 there is none yet; with 200 it is read like any answer."""
    api = ScriptedApi(Answer(202, b"", {"x-request-id": "r1"}), Answer())
    upstream = upstream_of(api)
    early, ready = [await upstream.fetch("a b") for _ in range(2)]
    assert (early.status, early.failure, early.body) == (202, None, b"")
    assert early.headers["x-request-id"] == "r1"
    assert (ready.status, ready.failure, ready.usage) == (200, None, Usage(10, 2))
    request = api.arrivals[0].request
    assert request.method == "GET"
    assert str(request.url).endswith("/v1/chat/deferred-completion/a%20b")
    assert request.headers["authorization"] == f"Bearer {FAKE_KEY}"
    assert not api.open


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(404, flat("not-found", "Deferred completion not found")), FailureKind.REJECTED),
        (Answer(410, b""), FailureKind.REJECTED),
        (BROKEN, FailureKind.SERVER),
        (Answer(200, b""), FailureKind.MALFORMED),
        (Answer(cut=OSError("gone")), FailureKind.CONNECTION),
    ],
)
async def test_a_look_that_fails(answer: Answer, kind: FailureKind) -> None:
    """What goes wrong is named as with any attempt, and never raised."""
    outcome = await upstream_of(ScriptedApi(answer)).fetch("one")
    assert outcome.failure is not None
    assert outcome.failure.kind is kind


async def test_a_key_in_a_look_is_redacted() -> None:
    """Whatever comes back, the key is not in it."""
    echo = f"no {FAKE_KEY}"
    api = ScriptedApi(Answer(404, flat("x", echo), {**JSON, "x-request-id": echo}))
    assert FAKE_KEY not in repr(await upstream_of(api).fetch("one"))


async def test_no_path_is_kept() -> None:
    """Each answer has a path of its own, so none may stay in memory."""
    upstream = upstream_of(ScriptedApi())
    for number in range(3):
        await upstream.fetch(f"gone-{number}")
    gc.collect()
    kept: list[Any] = [one for one in gc.get_objects() if type(one) is dict]
    assert not any(path_of("gone-1") in one for one in kept)
