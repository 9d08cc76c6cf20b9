"""What the simulated model says: scripted where a rule matches, else something that fits.

The same question gets the same default answer for one seed. A schema is answered with a value that
conforms to it, a tool that has to be called is called with arguments that conform to its own.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from supervisor.simulator import failures
from supervisor.simulator.dice import Dice
from supervisor.simulator.failures import Failure
from supervisor.simulator.question import Question, Tool
from supervisor.simulator.schema import conforming
from supervisor.simulator.script import Rule, Script
from supervisor.simulator.usage import count_tokens

_VOCABULARY = (
    "the queue holds one request and waits for room in the window while another answer comes "
    "back with tokens to count so that nothing is lost and every role gets its share of the "
    "quota before a new minute starts and the ledger writes down what was spent on each attempt"
)
_VARIANTS = 64
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says.

    Attributes:
        text: The content; empty when it only calls tools.
        calls: The tools it calls.
        finish: Why it stopped.
        tokens: Tokens of the answer, reasoning not among them.
        delay: Seconds to wait instead of the usual latency; None for that.
    """

    text: str
    calls: tuple[Call, ...] = ()
    finish: Literal["stop", "length", "tool_calls"] = "stop"
    tokens: int = 0
    delay: float | None = None


class Answerer:
    """Finds the answer to a question.

    Args:
        script: Scripted answers.
        seed: Chooses among the default texts.
        tokens: Tokens of a default text.
        spread: Up to so many more.
    """

    def __init__(self, script: Script, *, seed: int = 0, tokens: int = 32, spread: int = 0) -> None:
        self._script = script
        self._seed = seed
        self._tokens = tokens
        self._spread = spread
        self._words = _VOCABULARY.split()
        self._texts: dict[tuple[int, int], str] = {}

    def answer(self, question: Question, dice: Dice) -> Answer | Failure:
        """The answer, or the failure where a schema cannot be met.

        Args:
            question: What is asked.
            dice: The request's own chance, for ids and lengths.
        """
        rule = self._script.find(question)
        try:
            if rule is not None:
                return _scripted(rule, question, dice)
            if question.must_call is not None:
                return _calling([_made_call(question, dice)])
            return _said(self._default(question, dice), question)
        except ValueError as exc:
            return failures.invalid(f"Invalid JSON schema: {exc}")

    def _default(self, question: Question, dice: Dice) -> str:
        if question.schema is not None:
            return _dumped(conforming(question.schema))
        tokens = self._tokens + (dice.below(self._spread + 1) if self._spread else 0)
        variant = zlib.crc32(question.user.encode(errors="replace"), self._seed & 0xFFFFFFFF)
        text = self.prose(tokens, variant % _VARIANTS)
        return _dumped({"answer": text}) if question.json_object else text

    def prose(self, tokens: int, variant: int = 0) -> str:
        """A text of so many tokens; different variants read differently."""
        known = self._texts.get((tokens, variant))
        if known is not None:
            return known
        dice = Dice(self._seed, variant)
        length = tokens * _CHARACTERS_PER_TOKEN
        words: list[str] = []
        written = 0
        while written < length:
            words.append(self._words[dice.below(len(self._words))])
            written += len(words[-1]) + 1
        text = " ".join(words)[: length - 1] + "."
        if len(self._texts) < _VARIANTS * _VARIANTS:
            self._texts[tokens, variant] = text
        return text


def _scripted(rule: Rule, question: Question, dice: Dice) -> Answer:
    if rule.tool_calls:
        calls = [_call(call.name, call.arguments, dice) for call in rule.tool_calls]
        return _calling(calls, rule.delay)
    text = rule.answer if rule.answer is not None else _dumped(rule.json_value)
    return _said(text, question, rule.delay)


def _said(text: str, question: Question, delay: float | None = None) -> Answer:
    tokens = count_tokens(text)
    if question.max_tokens is not None and tokens > question.max_tokens:
        kept = text[: question.max_tokens * _CHARACTERS_PER_TOKEN]
        return Answer(kept, finish="length", tokens=question.max_tokens, delay=delay)
    return Answer(text, tokens=tokens, delay=delay)


def _calling(calls: list[Call], delay: float | None = None) -> Answer:
    tokens = sum(count_tokens(call.name) + count_tokens(call.arguments) for call in calls)
    return Answer("", tuple(calls), "tool_calls", tokens, delay)


def _made_call(question: Question, dice: Dice) -> Call:
    tool: Tool = next(tool for tool in question.tools if question.must_call in ("", tool.name))
    return _call(tool.name, conforming(tool.parameters), dice)


def _call(name: str, arguments: Any, dice: Dice) -> Call:
    return Call(f"call_{dice.below(10**8):08}", name, _dumped(arguments))


def _dumped(value: Any) -> str:
    return orjson.dumps(value).decode()
