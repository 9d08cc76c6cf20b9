"""Everything the simulator can be told, as one frozen model.

It is read once and then only looked at, so that a run is described by this one value; what changes
at run time is a new value put in its place.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationError,
    model_validator,
)

from supervisor.errors import ConfigError
from supervisor.limits import Limit
from supervisor.simulator.document import is_object
from supervisor.simulator.duration import Duration
from supervisor.simulator.meters import Kind
from supervisor.simulator.script import Rule


def _limit(value: Any) -> Any:
    return Limit.parse(value) if isinstance(value, str) else value


LimitField = Annotated[Limit, BeforeValidator(_limit), PlainSerializer(str, return_type=str)]
"""`100 requests / minute` in text, a `Limit` in memory."""

Chance = Annotated[float, Field(ge=0.0, le=1.0)]

Account = Literal[
    "open",
    "no_credits",
    "spending_limit",
    "key_blocked",
    "team_blocked",
    "no_permission",
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Faults(_Frozen):
    """Probabilities, 0 to 1, of what goes wrong; their sum is at most 1.

    Attributes:
        server_error: 500, 502, 503 or 504 with a JSON body.
        html_error: 502 or 520 to 524 with Cloudflare's HTML page.
        capacity: 429 "temporarily at capacity", which is not our quota.
        cut: The connection ends before the headers.
        silent: Not a byte comes; the connection stays open for `stall`, then it is cut.
        empty: 200 without a body.
        html_answer: 200 with a page of HTML, as a portal in front of the API sends.
        malformed: 200 with half a JSON document.
        wrong_length: 200 with fewer bytes than its content-length says, then it is cut.
        cut_stream: The connection ends in mid-stream (streamed requests only).
        stall_stream: The stream stops and stays open for `stall` (streamed requests only).
        endless_stream: The stream goes on for as long as somebody listens (streamed requests only).
        stream_error: An error event inside a 200 stream (streamed requests only).
        stall: How long what is silent or stalled stays open, in seconds; then it is cut.
    """

    server_error: Chance = 0.0
    html_error: Chance = 0.0
    capacity: Chance = 0.0
    cut: Chance = 0.0
    silent: Chance = 0.0
    empty: Chance = 0.0
    html_answer: Chance = 0.0
    malformed: Chance = 0.0
    wrong_length: Chance = 0.0
    cut_stream: Chance = 0.0
    stall_stream: Chance = 0.0
    endless_stream: Chance = 0.0
    stream_error: Chance = 0.0
    stall: Duration = 3600.0

    @model_validator(mode="after")
    def _at_most_one(self) -> Faults:
        total = sum(self.chances().values())
        if total > 1.0 + 1e-9:
            raise ValueError(f"expected fault probabilities that sum to at most 1, got: {total:g}")
        return self

    def chances(self) -> dict[str, float]:
        """The probabilities by the fault's name."""
        return {name: getattr(self, name) for name in type(self).model_fields if name != "stall"}


class Model(_Frozen):
    """A model that the simulator offers.

    Attributes:
        id: Its name.
        context: Context window in tokens.
        prompt: US dollars for a million prompt tokens.
        cached: US dollars for a million cached prompt tokens.
        completion: US dollars for a million answer tokens, reasoning included.
        aliases: Other names it answers to.
    """

    id: str
    context: int = 500_000
    prompt: float = 2.0
    cached: float = 0.5
    completion: float = 6.0
    aliases: tuple[str, ...] = ()


MODELS = (
    Model(id="grok-4.7", aliases=("grok-4.7-latest", "grok-latest")),
    Model(id="grok-4.6"),
    Model(id="grok-4.5", cached=0.3),
    Model(id="grok-4.3", context=1_000_000, prompt=1.25, cached=0.2, completion=2.5),
    Model(id="grok-4.20", context=1_000_000, prompt=1.25, cached=0.2, completion=2.5),
    Model(id="grok-build-0.1", context=256_000, prompt=1.0, cached=0.2, completion=2.0),
)


class Settings(_Frozen):
    """How the simulated API behaves.

    Attributes:
        limits: Limits on requests and tokens that hold together, for all keys and models.
        kind: How the server counts them.
        burst: Size of its requests bucket (`token_bucket`) where the limit states none.
        offset: Where windows begin, in seconds after the Unix epoch.
        count_refused: Whether refused requests count against the requests limits.
        retry_after: Seconds in a Retry-After header on 429; None as the real API sends none.
        should_retry: Value of an `x-should-retry` header on errors; None for no such header.
        sentence_codes: Write error codes as the old sentences, not in kebab-case.
        seed: Chance repeats itself for the same seed and the same arrivals.
        transit: Seconds a request travels before it arrives and is counted.
        transit_jitter: Up to so many seconds more, evenly distributed.
        latency: Seconds from arrival to the answer, or to the first event of a stream.
        jitter: Up to so many seconds more, evenly distributed.
        chunk_delay: Seconds between the events of a stream.
        chunk_tokens: Tokens of one event of a stream.
        output_tokens: Tokens of a default answer.
        output_spread: Up to so many tokens more.
        reasoning_tokens: Reasoning tokens of every answer.
        reasoning_text: Whether the reasoning is shown as `reasoning_content`.
        faults: What goes wrong, and how often.
        models: The models on offer.
        closed_models: Models not open to this team: their limit is `0/0`.
        unsupported: Arguments that are answered with 400 `Argument not supported`.
        key: The only key that is right; None for any that starts with `xai-`.
        echo_key: Whether the text about a wrong key repeats it whole, as some gateways do.
        account: `open`, or why the account cannot be used.
        answers: A TOML or JSON file with scripted answers.
        script: Scripted answers given here; they come before those of the file.
        count_repeats: Whether the report counts questions that come again after a whole answer.
        count_headers: Request headers by whose values the report counts.
    """

    limits: tuple[LimitField, ...] = ()
    kind: Kind = "sliding_log"
    burst: Annotated[int, Field(ge=1)] | None = None
    offset: float = 0.0
    count_refused: bool = False
    retry_after: Duration | None = None
    should_retry: bool | None = None
    sentence_codes: bool = False
    seed: int = 0
    transit: Duration = 0.0
    transit_jitter: Duration = 0.0
    latency: Duration = 0.0
    jitter: Duration = 0.0
    chunk_delay: Duration = 0.0
    chunk_tokens: Annotated[int, Field(ge=1)] = 8
    output_tokens: Annotated[int, Field(ge=1)] = 32
    output_spread: Annotated[int, Field(ge=0)] = 0
    reasoning_tokens: Annotated[int, Field(ge=0)] = 24
    reasoning_text: bool = False
    faults: Faults = Faults()
    models: Annotated[tuple[Model, ...], Field(min_length=1)] = MODELS
    closed_models: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ("presence_penalty", "frequency_penalty", "stop", "logit_bias")
    key: SecretStr | None = None
    echo_key: bool = False
    account: Account = "open"
    answers: Path | None = None
    script: tuple[Rule, ...] = ()
    count_repeats: bool = False
    count_headers: tuple[str, ...] = ("x-supervisor-role",)

    @classmethod
    def read(cls, value: dict[str, Any]) -> Settings:
        """Validate settings that came as plain data.

        Raises:
            ConfigError: A setting is wrong; the message names it, its value and what was expected.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as exc:
            raise ConfigError(_explain(exc)) from None

    def changed(self, patch: dict[str, Any]) -> Settings:
        """These settings with some replaced; `faults` may name only those that change.

        Raises:
            ConfigError: A setting is wrong.
        """
        # Not model_dump: that would turn the key into asterisks.
        merged: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        merged.update(patch)
        if is_object(patch.get("faults")):
            merged["faults"] = {**self.faults.model_dump(), **patch["faults"]}
        return self.read(merged)


def _explain(exc: ValidationError) -> str:
    problems: list[str] = []
    for error in exc.errors(include_url=False, include_context=False):
        place = ".".join(str(part) for part in error["loc"])
        if error["type"] == "extra_forbidden":
            problems.append(f"unknown setting {place}{_suggestion(error['loc'])}")
            continue
        shown = "" if "key" in error["loc"] else f", got: {error['input']!r:.80}"
        message = error["msg"].removeprefix("Value error, ")
        problems.append(
            f"{place}: {message}{'' if 'got:' in message else shown}".removeprefix(": ")
        )
    return "simulator settings: " + "; ".join(problems)


def _suggestion(place: tuple[int | str, ...]) -> str:
    names = [str(part) for part in place]
    known = Faults.model_fields if names[:-1] == ["faults"] else Settings.model_fields
    close = get_close_matches(names[-1], known, n=1)
    return f", did you mean {close[0]}?" if close else f", expected one of: {', '.join(known)}"
