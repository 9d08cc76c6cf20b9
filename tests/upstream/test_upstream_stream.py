"""A streamed answer: the bytes pass unchanged, and a cut one is never passed off as whole."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any

import anyio
import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.errors import InvalidRequest
from supervisor.messages import Endpoint, Request, Usage
from supervisor.testing import run_virtual
from supervisor.upstream.document import check_body
from supervisor.upstream.failures import Failure, FailureKind
from tests.upstream.api import (
    DONE,
    FAKE_KEY,
    QUOTA,
    UNAVAILABLE,
    USAGE_CHUNK,
    WHOLE_STREAM,
    Answer,
    ScriptedApi,
    delta,
    event,
    flat,
    streamed,
    upstream_of,
)

WHOLE = b"".join(WHOLE_STREAM)
COUNTED = Usage(10, 5)
FINISH = delta("", finish="stop")
RESPONSE_USAGE = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}


def asked(endpoint: Endpoint = "/chat/completions", **document: Any) -> Request:
    """A streamed request."""
    body = orjson.dumps({"model": "grok-4.7", "stream": True, **document})
    return Request(id="a", traffic_class="code", body=body, endpoint=endpoint, stream=True)


WITH_USAGE = asked(stream_options={"include_usage": True})


async def read(
    api: ScriptedApi, request: Request = WITH_USAGE
) -> tuple[bytes, Usage | None, Failure | None]:
    """All bytes of a stream, its usage, and what went wrong."""
    passed = b""
    async with upstream_of(api).stream(request) as attempt:
        if attempt.events is not None:
            async for raw in attempt.events:
                passed += raw
        result = passed, attempt.usage, attempt.failure
    assert not api.open
    return result


async def test_the_bytes_pass_unchanged() -> None:
    """Whoever asked for usage gets every byte that came."""
    assert await read(ScriptedApi(streamed())) == (WHOLE, COUNTED, None)


@settings(max_examples=50)
@given(st.lists(st.integers(0, len(WHOLE)), max_size=12), st.booleans())
def test_any_chunking_passes_unchanged(cuts: list[int], wanted: bool) -> None:  # noqa: FBT001
    """Wherever the network cuts the bytes, the same bytes and the same usage come out."""
    chunks = [WHOLE[a:b] for a, b in pairwise([0, *sorted(cuts), len(WHOLE)]) if a < b]
    request = WITH_USAGE if wanted else asked()
    expected = WHOLE if wanted else WHOLE.replace(USAGE_CHUNK, b"")
    assert run_virtual(read, ScriptedApi(streamed(*chunks)), request) == (expected, COUNTED, None)


async def test_usage_is_always_asked_for() -> None:
    """Without usage nothing is counted: it is asked for, and kept from who did not want it."""
    api = ScriptedApi(streamed())
    request = asked(stream_options={"other": 1}, unknown={"field": 1.5})
    assert await read(api, request) == (WHOLE.replace(USAGE_CHUNK, b""), COUNTED, None)
    sent = orjson.loads(api.arrivals[0].request.content)
    assert sent == {
        "model": "grok-4.7",
        "stream": True,
        "unknown": {"field": 1.5},
        "stream_options": {"other": 1, "include_usage": True},
    }
    assert api.arrivals[0].request.headers["accept"] == "text/event-stream"


@pytest.mark.parametrize("request_", [WITH_USAGE, asked("/responses")], ids=["chat", "responses"])
async def test_a_body_that_needs_nothing_is_untouched(request_: Request) -> None:
    """Nothing is added to a body that asks for usage, or whose endpoint always gives it."""
    api = ScriptedApi(streamed())
    await read(api, request_)
    assert api.arrivals[0].request.content == request_.body


@pytest.mark.parametrize("choices", [{}, {"choices": None}])
async def test_a_usage_chunk_without_choices_is_withheld(choices: dict[str, Any]) -> None:
    """The chunk that only we asked for is kept back in every form it comes in."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    chunk = event({**choices, "usage": usage})
    passed, counted, _ = await read(ScriptedApi(streamed(delta("a"), FINISH, chunk, DONE)), asked())
    assert counted == COUNTED
    assert chunk not in passed


async def test_a_usage_chunk_of_noughts_is_withheld() -> None:
    """Servers that count nothing send it all the same when asked: who did not ask gets none."""
    chunk = event({"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}})
    answer = streamed(delta("a"), FINISH, chunk, DONE)
    assert await read(ScriptedApi(answer), asked()) == (delta("a") + FINISH + DONE, None, None)
    passed, *_ = await read(ScriptedApi(answer))
    assert chunk in passed


async def test_nothing_else_of_the_body_changes() -> None:
    """Asking for usage touches no other field of the body."""
    api = ScriptedApi(streamed())
    body = b'{"stream":true,"seed":123456789012345678901234567890}'
    await read(api, Request(id="a", traffic_class="code", body=body, stream=True))
    assert b'"seed":123456789012345678901234567890' in api.arrivals[0].request.content


@pytest.mark.parametrize(
    ("options", "extended"),
    [
        ("null", '{"include_usage": true}'),
        ("7", '{"include_usage": true}'),
        ("{}", '{"include_usage": true}'),
        ('{"include_usage":false}', '{"include_usage": true}'),
        ('{"other" : [1, "}"]}', '{"other": [1, "}"], "include_usage": true}'),
    ],
)
@pytest.mark.parametrize("twice", [False, True])
async def test_other_options_change_nothing_else(
    options: str, extended: str, *, twice: bool
) -> None:
    """Where there are options already, only they change, each time they are given."""
    field = f'"stream_options" :{options} ,'
    template = '{{ "stream":true,{}"t": 1.50,{} "seed" : 123456789012345678901234567890 }}\n'
    body = template.format(field, field if twice else "")
    api = ScriptedApi(streamed())
    request = Request(id="a", traffic_class="code", body=body.encode(), stream=True)
    assert (await read(api, request))[1:] == (COUNTED, None)
    field = f'"stream_options" :{extended} ,'
    expected = template.format(field, field if twice else "")
    assert api.arrivals[0].request.content.decode() == expected


def test_a_body_nested_without_end_is_refused() -> None:
    """A body that no parser takes is its author's error."""
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        check_body(Request(id="a", traffic_class="code", body=b"[" * 100_000, stream=True))


@pytest.mark.parametrize("depth", [900, 1_000, 1_020])
def test_a_deep_body_is_sent_or_refused(depth: int) -> None:
    """Where two parsers differ in how deep they go, it depends on Python; nothing crashes."""
    body = b'{"stream_options":{},"a":' + b"[" * depth + b"]" * depth + b"}"
    with suppress(InvalidRequest):
        check_body(Request(id="a", traffic_class="code", body=body, stream=True))


async def test_half_a_character_in_a_chunk() -> None:
    """A chunk may hold half a character; the bytes pass and the next chunk brings the rest."""
    half = delta("x").replace(b'"x"', rb'"\ud83d"'), delta("x").replace(b'"x"', rb'"\ude00"')
    passed, _, failure = await read(ScriptedApi(streamed(*half, FINISH, DONE)))
    assert (passed, failure) == (b"".join([*half, FINISH, DONE]), None)


async def test_usage_beside_content_passes() -> None:
    """A chunk with content is never withheld, even if it carries usage."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    last = event({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": usage})
    passed = await read(ScriptedApi(streamed(delta("a"), last, DONE)), asked())
    assert passed == (delta("a") + last + DONE, COUNTED, None)


async def test_comments_and_other_fields_pass() -> None:
    """Keep-alives, event names and multi-line data go through as they came."""
    odd = b": keep-alive\n\n", b'event: x\r\ndata: {"choices":\r\ndata: []}\r\n\r\n', b"id: 7\n\n"
    chunks = (*odd, FINISH, DONE)
    passed, _, failure = await read(ScriptedApi(streamed(*chunks)))
    assert (passed, failure) == (b"".join(chunks), None)


async def test_json_that_is_no_object_passes() -> None:
    """What means nothing to us may mean something to whoever asked."""
    chunks = event("[1, 2]"), event("7"), delta("a", finish="stop"), DONE
    passed, _, failure = await read(ScriptedApi(streamed(*chunks)))
    assert (passed, failure) == (b"".join(chunks), None)


ENDS = [
    (delta("a"), FINISH, DONE),
    (delta("a"), DONE),
    (delta("a"), FINISH),
    (delta("a", finish="length"), USAGE_CHUNK),
]


@pytest.mark.parametrize("chunks", ENDS)
async def test_a_real_end(chunks: tuple[bytes, ...]) -> None:
    """[DONE] ends a chat completion; so does a connection closed in order after the finish."""
    passed, _, failure = await read(ScriptedApi(streamed(*chunks)))
    assert (passed, failure) == (b"".join(chunks), None)


@pytest.mark.parametrize("last", ["completed", "incomplete", "failed"])
async def test_the_end_of_a_response(last: str) -> None:
    """`response.completed` and its like end /responses, without [DONE], and carry the usage."""
    created = event({"type": "response.created", "response": {"usage": None, "error": None}})
    text = event({"type": "response.output_text.delta", "delta": "a"})
    end = event({"type": f"response.{last}", "response": {"usage": RESPONSE_USAGE}})
    result = await read(ScriptedApi(streamed(created, text, end)), asked("/responses"))
    assert result == (created + text + end, COUNTED, None)


@pytest.mark.parametrize("chunks", [(delta("a"),), (delta("a"), delta("b")[:-20]), (b": hi\n\n",)])
@pytest.mark.parametrize("cut", [None, httpx.ReadError("reset"), ConnectionResetError("reset")])
async def test_a_cut_stream_is_a_failure(chunks: tuple[bytes, ...], cut: Exception | None) -> None:
    """A stream that ends without a real end has failed, whether the network says so or not."""
    passed, usage, failure = await read(ScriptedApi(streamed(*chunks, cut=cut)))
    assert passed == chunks[0]
    assert usage is None
    assert failure is not None
    assert failure.kind is FailureKind.CONNECTION


async def test_all_choices_must_finish() -> None:
    """An answer of several choices is whole when each of them has finished."""
    chunks = delta("a"), delta("b", index=1), delta("", finish="stop")
    _, _, failure = await read(ScriptedApi(streamed(*chunks)), asked(n=2))
    assert failure is not None


async def test_the_last_event_needs_no_blank_line() -> None:
    """The bytes pass unchanged to the very end, even if the server forgot the last newline."""
    chunks = delta("a"), FINISH, b"data: [DONE]\n"
    passed, _, failure = await read(ScriptedApi(streamed(*chunks)))
    assert failure is None
    assert passed == b"".join(chunks)


async def test_the_last_usage_needs_no_blank_line() -> None:
    """An event at the very end is looked at like any other: counted, and withheld."""
    chunks = delta("a"), FINISH
    result = await read(ScriptedApi(streamed(*chunks, USAGE_CHUNK[:-1])), asked())
    assert result == (b"".join(chunks), COUNTED, None)


async def test_the_last_error_needs_no_blank_line() -> None:
    """An error at the very end is named for what it says, not for the missing end."""
    error = b"data: " + flat("x", "Your team has used all available credits") + b"\n"
    _, _, failure = await read(ScriptedApi(streamed(error)))
    assert failure is not None
    assert failure.kind is FailureKind.CREDITS


async def test_half_an_event_after_the_end_is_dropped() -> None:
    """A client cannot read half a document, and the answer is whole without it."""
    chunks = delta("a"), FINISH
    passed, _, failure = await read(ScriptedApi(streamed(*chunks, USAGE_CHUNK[:-20])))
    assert (passed, failure) == (b"".join(chunks), None)


@pytest.mark.parametrize("last", [FINISH, FINISH + USAGE_CHUNK[:-20], FINISH + USAGE_CHUNK])
async def test_a_cut_before_done_is_a_failure(last: bytes) -> None:
    """Between the finish and [DONE] the usage comes: what is cut there is no answer."""
    api = ScriptedApi(streamed(delta("a"), last, cut=httpx.ReadError("reset")))
    async with upstream_of(api).stream(WITH_USAGE) as attempt:
        assert attempt.events is not None
        passed = b"".join([raw async for raw in attempt.events])
        assert passed.startswith(delta("a") + FINISH)
        assert not attempt.complete
        assert attempt.failure is not None
        assert attempt.failure.kind is FailureKind.CONNECTION
        assert attempt.usage == (COUNTED if USAGE_CHUNK in last else None)


async def test_an_unended_event_without_an_end_is_dropped() -> None:
    """The error that has to follow must not run into an unfinished line."""
    passed, _, failure = await read(ScriptedApi(streamed(delta("a"), delta("b")[:-1])))
    assert passed == delta("a")
    assert failure is not None
    assert failure.kind is FailureKind.CONNECTION


async def test_nothing_undoes_the_end() -> None:
    """After [DONE] an answer is whole, whatever is said behind it."""
    chunks = delta("a"), DONE, delta("b", index=1)
    assert (await read(ScriptedApi(streamed(*chunks))))[2] is None


@pytest.mark.parametrize("index", [[1], {}, "1", None])
async def test_an_odd_index(index: object) -> None:
    """A choice whose number is none passes like any other."""
    odd = event({"choices": [{"index": index, "delta": {}, "finish_reason": None}]})
    passed, _, failure = await read(ScriptedApi(streamed(odd, DONE)))
    assert (passed, failure) == (odd + DONE, None)


async def test_an_event_nested_without_end() -> None:
    """An event that no parser takes is a malformed stream, and no crash."""
    _, _, failure = await read(ScriptedApi(streamed(delta("a"), event("[" * 100_000))))
    assert failure is not None
    assert failure.kind is FailureKind.MALFORMED


async def test_a_cut_after_the_end_is_none() -> None:
    """What the connection does after the real end harms nobody."""
    result = await read(ScriptedApi(streamed(cut=httpx.ReadError("reset"))))
    assert result == (WHOLE, COUNTED, None)


@pytest.mark.parametrize("last", ["completed", "incomplete", "failed"])
async def test_a_cut_after_the_end_of_a_response_is_none(last: str) -> None:
    """`response.completed` and its like are real ends as [DONE] is."""
    chunks = event({"type": "response.created"}), event({"type": f"response.{last}"})
    api = ScriptedApi(streamed(*chunks, cut=httpx.ReadError("reset")))
    assert await read(api, asked("/responses")) == (b"".join(chunks), None, None)


@pytest.mark.parametrize(
    "behind", [UNAVAILABLE, event("nonsense"), b"data: " + b"x" * (17 * 2**20)]
)
async def test_nothing_behind_the_end_is_a_failure(behind: bytes) -> None:
    """What is said after [DONE] is not the answer's, and makes no failure of it."""
    assert await read(ScriptedApi(streamed(*WHOLE_STREAM, behind))) == (WHOLE, COUNTED, None)


async def test_an_error_in_place_of_the_first_event() -> None:
    """An error inside a 200 is known before anything has been passed on."""
    async with upstream_of(ScriptedApi(streamed(UNAVAILABLE))).stream(WITH_USAGE) as attempt:
        assert attempt.failure is not None
        assert attempt.failure.kind is FailureKind.SERVER
        assert "Timed out waiting for first token" in attempt.failure.text
        assert attempt.status == 200


@pytest.mark.parametrize("document", [{"error": {"message": "boom", "type": "server_error"}}])
async def test_an_error_in_other_dialects(document: dict[str, Any]) -> None:
    """An error object, as other APIs write it, is an error too."""
    _, _, failure = await read(ScriptedApi(streamed(event(document))))
    assert failure is not None
    assert "boom" in failure.text


async def test_an_error_event_of_responses() -> None:
    """/responses says `{"type": "error", "code", "message"}`."""
    failed = event({"type": "error", "code": "server_error", "message": "overloaded"})
    upstream = upstream_of(ScriptedApi(streamed(failed)))
    async with upstream.stream(asked("/responses")) as attempt:
        assert attempt.failure is not None


async def test_a_response_that_failed_at_once() -> None:
    """A response that fails in place of its first event can be retried like any attempt."""
    error = {"code": "server_error", "message": "overloaded"}
    failed = event({"type": "response.failed", "response": {"error": error}})
    upstream = upstream_of(ScriptedApi(streamed(failed)))
    async with upstream.stream(asked("/responses")) as attempt:
        assert attempt.failure is not None
        assert attempt.failure.kind is FailureKind.CAPACITY


async def test_a_response_that_failed_later() -> None:
    """After its first event it is the response's own end, and passes."""
    created = event({"type": "response.created", "response": {"error": None}})
    failed = event({"type": "response.failed", "response": {"error": {"code": "server_error"}}})
    passed, _, failure = await read(ScriptedApi(streamed(created, failed)), asked("/responses"))
    assert (passed, failure) == (created + failed, None)


async def test_an_error_after_content() -> None:
    """Content passes, the error does not, and the stream has failed."""
    passed, _, failure = await read(ScriptedApi(streamed(delta("a"), UNAVAILABLE)))
    assert passed == delta("a")
    assert failure is not None
    assert failure.kind is FailureKind.SERVER


async def test_an_event_that_repeats_the_key_passes_without_it() -> None:
    """A model that is shown the request's headers tells nobody the key."""
    chunks = (delta(f"it is {FAKE_KEY}, "), delta("", finish="stop"), DONE)
    passed, _, failure = await read(ScriptedApi(streamed(*chunks)))
    assert failure is None
    assert passed == b"".join(chunks).replace(FAKE_KEY.encode(), b"***")


async def test_a_key_in_a_stream_error_is_redacted() -> None:
    """An error inside a stream can echo the key as well."""
    echo = b"data: " + flat("x", f"Incorrect API key provided: {FAKE_KEY}") + b"\n\n"
    _, _, failure = await read(ScriptedApi(streamed(echo)))
    assert failure is not None
    assert failure.kind is FailureKind.KEY
    assert FAKE_KEY not in repr(failure)


@pytest.mark.parametrize("chunk", [event("not json"), b"data: " + b"x" * (17 * 2**20)])
async def test_a_malformed_stream(chunk: bytes) -> None:
    """What is no event stream of JSON is no answer."""
    passed, _, failure = await read(ScriptedApi(streamed(delta("a"), chunk)))
    assert passed == delta("a")
    assert failure is not None
    assert failure.kind is FailureKind.MALFORMED


async def test_a_refusal_instead_of_a_stream() -> None:
    """An error response to a streamed request is classified like any other, with its body."""
    api = ScriptedApi(QUOTA)
    async with upstream_of(api).stream(WITH_USAGE) as attempt:
        assert attempt.events is None
        assert (attempt.status, attempt.body) == (429, QUOTA.body)
        assert attempt.failure is not None
        assert attempt.failure.kind is FailureKind.QUOTA
    assert not api.open


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [(b"", 0, FailureKind.TIMEOUT), ([b"half"], 503, FailureKind.SERVER)],
    ids=["head", "body of a refusal"],
)
async def test_no_stream_at_all(body: bytes | list[bytes], status: int, kind: FailureKind) -> None:
    """What fails before the stream is a failed attempt, what fails in an error's body an error."""
    api = ScriptedApi(Answer(503, body, cut=httpx.ReadTimeout("slow")))
    async with upstream_of(api).stream(WITH_USAGE) as attempt:
        assert (attempt.events, attempt.status, attempt.usage) == (None, status, None)
        assert attempt.failure is not None
        assert attempt.failure.kind is kind
    assert not api.open


@pytest.mark.parametrize("finish", [None, "stop"])
async def test_what_a_part_has_used_is_no_usage(finish: str | None) -> None:
    """Some APIs count on with each chunk: only at the end of the answer that says what it used."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": finish}
    chunk = event({"choices": [choice], "usage": usage})
    async with upstream_of(ScriptedApi(streamed(chunk))).stream(WITH_USAGE) as attempt:
        assert attempt.events is not None
        assert [raw async for raw in attempt.events] == [chunk]
        assert attempt.usage == (COUNTED if finish else None)


async def test_leaving_early_closes_the_response() -> None:
    """Whoever has heard enough leaves the block, and the connection is closed."""
    api = ScriptedApi(streamed())
    async with upstream_of(api).stream(WITH_USAGE) as attempt:
        assert attempt.events is not None
        assert api.open == ["" if not api.arrivals[0].name else api.arrivals[0].name]
    assert not api.open


async def test_an_exception_closes_the_response() -> None:
    """An exception of whoever reads closes the connection and passes through."""
    api = ScriptedApi(streamed())
    with pytest.raises(KeyError):
        async with upstream_of(api).stream(WITH_USAGE):
            raise KeyError("mine")
    assert not api.open


@pytest.mark.parametrize("at", [0.5, 1.5])
@pytest.mark.usefixtures("virtual")
async def test_cancelling_closes_the_response(at: float) -> None:
    """A reader that is cancelled, before the first event or between two, leaves nothing open."""
    api = ScriptedApi(Answer(body=WHOLE_STREAM, after=1.0, gap=1.0))
    with anyio.move_on_after(at):
        await read(api)
    assert len(api.arrivals) == 1
    assert not api.open
