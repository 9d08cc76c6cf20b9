"""One simulated API: its settings, its counts, and what it decides about each request.

Everything here is decided at once and without waiting. `endpoint.py` carries it out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from supervisor.clock import Clock
from supervisor.simulator import failures
from supervisor.simulator.access import account_failure, bearer, key_failure
from supervisor.simulator.answers import Answerer
from supervisor.simulator.deferred import Deferred
from supervisor.simulator.dialect import Dialect, Reply
from supervisor.simulator.dice import Dice
from supervisor.simulator.document import Json, is_object
from supervisor.simulator.failures import Failure
from supervisor.simulator.fate import Fate, Fates
from supervisor.simulator.judge import Judge
from supervisor.simulator.limits import ServerLimits
from supervisor.simulator.question import Question
from supervisor.simulator.repeats import Repeats
from supervisor.simulator.script import Rule, Script
from supervisor.simulator.settings import Model, Settings
from supervisor.simulator.tally import Tally
from supervisor.simulator.usage import PromptCache, Usage, price
from supervisor.simulator.wire import LARGEST_BODY

_LIMITS_FIELDS = ("limits", "kind", "burst", "offset", "count_refused")


@dataclass(frozen=True, slots=True)
class Course:
    """What happens to one request.

    Attributes:
        outcome: A failure, or the answer.
        wait: Seconds until it is sent.
        fate: What befalls the answer on its way.
    """

    outcome: Failure | Reply
    wait: float = 0.0
    fate: Fate = "answer"


class Simulation:
    """The state behind the endpoints.

    Args:
        settings: How it behaves.
        clock: Where arrival times come from.
        rules: Scripted answers from the file that the settings name.
    """

    def __init__(self, settings: Settings, clock: Clock, rules: tuple[Rule, ...] = ()) -> None:
        self.clock = clock
        self.judge = Judge(settings.limits)
        self._rules = rules
        self._settings = settings
        self._script = Script((*settings.script, *rules))
        self._arrange(settings)
        self.reset()

    @property
    def settings(self) -> Settings:
        """How it behaves now."""
        return self._settings

    def reset(self) -> None:
        """Forget everything that happened; the settings stay."""
        self.tally = Tally()
        self.deferred = Deferred()
        self.limits = self._new_limits()
        self.judge.reset()
        self._script.reset()
        self._cache = PromptCache()
        self._repeats = Repeats()
        self._arrivals = 0
        self._latest = -math.inf

    def change(self, settings: Settings, rules: tuple[Rule, ...] | None = None) -> None:
        """Behave differently from now on.

        The judge keeps what it saw for limits that stay. The server's own counts start anew when
        limits, kind, burst, offset or count_refused change.

        Args:
            settings: The new settings, whole.
            rules: Scripted answers from the file; None for the same as before.
        """
        before, self._settings = self._settings, settings
        if rules is not None or settings.script != before.script:
            self._rules = self._rules if rules is None else rules
            self._script = Script((*settings.script, *self._rules))
        self._arrange(settings)
        if any(getattr(before, name) != getattr(settings, name) for name in _LIMITS_FIELDS):
            self.limits = self._new_limits()
            self.judge.watch(settings.limits)

    def _arrange(self, settings: Settings) -> None:
        self._fates = Fates(settings.faults)
        self._answerer = Answerer(
            self._script,
            seed=settings.seed,
            tokens=settings.output_tokens,
            spread=settings.output_spread,
        )
        self._models: dict[str, Model] = {}
        for model in settings.models:
            self._models.update(dict.fromkeys((model.id, *model.aliases), model))
        self._reasoning = ""
        if settings.reasoning_text and settings.reasoning_tokens:
            self._reasoning = self._answerer.prose(settings.reasoning_tokens)

    def _new_limits(self) -> ServerLimits:
        settings = self._settings
        # Arrivals are monotonic time, so that no step of the wall clock disturbs the counts;
        # window edges are meant in wall time.
        edges = settings.offset - (self.clock.wall() - self.clock.monotonic())
        return ServerLimits(
            settings.limits,
            settings.kind,
            burst=settings.burst,
            offset=edges,
            count_refused=settings.count_refused,
        )

    def model(self, name: str) -> Model | None:
        """The model of a name or alias."""
        return self._models.get(name)

    def next_dice(self) -> Dice:
        """Chance for the next request, in the order of arrival."""
        self._arrivals += 1
        return Dice(self._settings.seed, self._arrivals)

    def arrive(
        self,
        now: float,
        *,
        dice: Dice,
        headers: Mapping[bytes, bytes],
        body: bytes | None,
        dialect: Dialect,
    ) -> Course:
        """Decide what happens to a request; counts it everywhere.

        Args:
            now: When it arrived, in monotonic seconds.
            dice: Its own chance.
            headers: Lower-case names.
            body: As received; None when it was too large to read.
            dialect: The way it asks.
        """
        # One whose body came slowly may be decided after one that arrived later.
        now = self._latest = max(self._latest, now)
        self.settle_deferred(now)
        key = bearer(headers.get(b"authorization"))
        question = self._read(headers, body, dialect)
        tokens = question.prompt_tokens if isinstance(question, Question) else 0
        failure = self._failure(now, key, question)
        refused = failure is not None and failure.quota
        self.judge.saw(now, tokens, refused=refused)
        if body is not None and self._settings.count_repeats:
            self._repeats.asked(body)
        self.tally.saw(key, self._counted(headers), refused=refused)
        if failure is not None or isinstance(question, Failure):
            return Course(failure or failures.invalid("The request cannot be read"))
        conversation = question.cache_key or headers.get(b"x-grok-conv-id", b"").decode("latin-1")
        return self._course(question, dice, conversation=conversation)

    def finish(self, reply: Reply) -> None:
        """Book the tokens that became known with the answer."""
        now = self._latest = max(self._latest, self.clock.monotonic())
        self.limits.book_output(now, reply.usage.output)
        self.judge.spent(now, reply.usage.output)

    def delivered(self, body: bytes) -> None:
        """All of the answer to a question was sent.

        Args:
            body: The question as received.
        """
        if self._settings.count_repeats:
            self._repeats.answered(body)

    def settle_deferred(self, now: float) -> None:
        """Book the tokens of deferred answers that have become ready."""
        for reply in self.deferred.finished(now):
            self.finish(reply)

    def report(self) -> Json:
        """What the judge and the tally say."""
        verdict: dict[str, Any] = asdict(self.judge.report())
        return verdict | {"asked_again": self._repeats.again} | self.tally.as_json()

    def _read(
        self, headers: Mapping[bytes, bytes], body: bytes | None, dialect: Dialect
    ) -> Question | Failure:
        if b"json" not in headers.get(b"content-type", b""):
            return failures.not_json()
        if body is None:
            return failures.too_large(LARGEST_BODY)
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as exc:
            return failures.bad_json(str(exc))
        if not is_object(document):
            return failures.wrong_type("invalid type, expected a map")
        return dialect.read(document, self._settings.unsupported)

    def _failure(self, now: float, key: str, question: Question | Failure) -> Failure | None:
        settings = self._settings
        denied = key_failure(settings, key) or account_failure(settings)
        if denied is not None:
            return denied
        if isinstance(question, Failure):
            model, tokens = "unknown", 0
        else:
            model, tokens = question.model, question.prompt_tokens
        if model in settings.closed_models:
            return failures.closed_model(model)
        refusal = self.limits.admit(now, tokens)
        if refusal is not None:
            return failures.over_limit(refusal, model)
        if isinstance(question, Failure):
            return question
        return None if model in self._models else failures.unknown_model(model)

    def _counted(self, headers: Mapping[bytes, bytes]) -> list[tuple[str, str]]:
        pairs: list[tuple[str, str]] = []
        for name in self._settings.count_headers:
            value = headers.get(name.lower().encode())
            if value is not None:
                pairs.append((name, value.decode("latin-1")))
        return pairs

    def _course(self, question: Question, dice: Dice, *, conversation: str) -> Course:
        settings = self._settings
        fate = self._fates.deal(dice, stream=question.stream)
        if fate == "capacity":
            return Course(failures.no_capacity(question.model))
        answer = self._answerer.answer(question, dice)
        if isinstance(answer, Failure):
            return Course(answer)
        wait = settings.latency + (settings.jitter * dice.roll() if settings.jitter else 0.0)
        wait = wait if answer.delay is None else answer.delay
        if fate == "server_error":
            return Course(failures.server_error(dice), wait)
        if fate == "html_error":
            return Course(failures.html_error(dice), wait)
        model = self._models[question.model]
        prompt = question.prompt_tokens
        cached = self._cache.cached(model.id, conversation, prompt=prompt)
        output = answer.tokens + settings.reasoning_tokens
        ticks = price(model, prompt=prompt, cached=cached, output=output)
        reply = Reply(
            id=_uuid(dice),
            created=int(self.clock.wall()),
            model=model.id,
            question=question,
            answer=answer,
            usage=Usage(prompt, answer.tokens, settings.reasoning_tokens, cached, ticks),
            reasoning=self._reasoning,
            chunk=settings.chunk_tokens * 4,
        )
        return Course(reply, wait, fate)


def _uuid(dice: Dice) -> str:
    digits = f"{dice.number():016x}{dice.number():016x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"
