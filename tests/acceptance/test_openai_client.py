"""A real client, the openai SDK, against the real process over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.acceptance.processes import ROOT, Process, supervisor

pytestmark = pytest.mark.slow


class Capital(BaseModel):
    """What structured output is asked to fill in."""

    country: str
    city: str
    inhabitants: int


TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One supervisor on the simulator for all tests here."""
    folder = tmp_path_factory.mktemp("openai")
    fast = ("simulator.latency=0s", "simulator.jitter=0s", "simulator.chunk_delay=0s")
    roles = f"roles.directory={ROOT / 'roles'}"
    with supervisor(folder, roles, "clients.editor.share=0.1", *fast, simulate=True) as process:
        yield process


@pytest.fixture
def client(process: Process) -> Iterator[openai.OpenAI]:
    """The SDK with only `base_url` and `api_key` changed."""
    with openai.OpenAI(base_url=f"{process.base}/v1", api_key="editor") as client:
        yield client


def hello(text: str = "hello") -> Any:
    """A conversation."""
    return [{"role": "user", "content": text}]


def test_a_plain_completion(client: openai.OpenAI) -> None:
    """An answer comes with text and usage, and says how long it waited."""
    raw = client.chat.completions.with_raw_response.create(
        model="grok-4.7",
        messages=hello(),
    )
    answer = raw.parse()
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0
    assert raw.headers["x-supervisor-role"] == "editor"
    assert raw.headers["x-supervisor-attempts"] == "1"
    assert float(raw.headers["x-supervisor-wait-ms"]) >= 0


def test_a_stream(client: openai.OpenAI) -> None:
    """Pieces come one by one and end with a reason; no usage chunk that was not asked for."""
    chunks = list(client.chat.completions.create(model="grok-4.7", messages=hello(), stream=True))
    assert len(chunks) > 2
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.choices for chunk in chunks)


def test_a_stream_with_usage(client: openai.OpenAI) -> None:
    """The usage chunk is passed on to whoever asks for it."""
    chunks = list(
        client.chat.completions.create(
            model="grok-4.7",
            messages=hello(),
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0


def test_a_tool_call(client: openai.OpenAI) -> None:
    """A tool that must be called is called, with arguments that conform."""
    answer = client.chat.completions.create(
        model="grok-4.7",
        messages=hello(),
        tools=[TOOL],
        tool_choice="required",
    )
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert "city" in call.function.arguments


def test_structured_output(client: openai.OpenAI) -> None:
    """A parsed answer conforms to the model asked for."""
    answer = client.chat.completions.parse(
        model="grok-4.7",
        messages=hello(),
        response_format=Capital,
    )
    assert isinstance(answer.choices[0].message.parsed, Capital)


def test_responses(client: openai.OpenAI) -> None:
    """The other endpoint works, whole and streamed."""
    assert client.responses.create(model="grok-4.7", input="hello").output_text
    events = list(client.responses.create(model="grok-4.7", input="hello", stream=True))
    assert events[-1].type == "response.completed"


def test_models(client: openai.OpenAI) -> None:
    """The API's models are listed."""
    assert "grok-4.7" in [model.id for model in client.models.list()]


def test_a_wrong_model_is_an_error_at_once(process: Process, client: openai.OpenAI) -> None:
    """The API's no reaches the client as its own error class, after a single attempt."""
    before = process.get("/health")["clients"]["editor"]["attempts"]
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="no-such-model", messages=hello())
    assert process.get("/health")["clients"]["editor"]["attempts"] == before + 1


def test_a_malformed_body_is_an_error(client: openai.OpenAI) -> None:
    """A request the gateway cannot read is the client's mistake."""
    with pytest.raises(openai.BadRequestError) as error:
        client.post("/chat/completions", content=b"{nonsense", cast_to=object)
    assert error.value.code


def test_an_unknown_role_is_told_who_is_known(client: openai.OpenAI) -> None:
    """A name that is neither role nor client is refused with those that are."""
    with pytest.raises(openai.APIStatusError) as error:
        client.chat.completions.create(
            model="grok-4.7",
            messages=hello(),
            extra_headers={"X-Supervisor-Role": "nobody"},
        )
    assert error.value.status_code == 400
    assert "editor" in str(error.value)


def test_any_key_will_do_on_this_machine(process: Process) -> None:
    """Without tokens, a bearer value that names nobody counts for the gateway itself."""
    with openai.OpenAI(base_url=f"{process.base}/v1", api_key="sk-anything") as client:
        raw = client.chat.completions.with_raw_response.create(
            model="grok-4.7",
            messages=hello(),
        )
    assert raw.headers["x-supervisor-role"] == "gateway"
