"""Answers written down beforehand, so that roles can be tried without a model.

A file holds a list `answers` of rules; the first rule that matches and is not used up answers:

    [[answers]]
    pattern = "review"          # regular expression on the last user message
    system = "You are a critic" # optional: on the instructions
    tool = "exit code 0"        # optional: on the result of the last tool call
    answer = "Looks good."      # or `json = {…}`, or `tool_calls = [{name = "…", arguments = {…}}]`
    times = 1                   # optional: at most so often
    delay = "2s"                # optional: instead of the usual latency
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from supervisor.errors import ConfigError
from supervisor.simulator.document import is_list, is_object
from supervisor.simulator.duration import Duration
from supervisor.simulator.question import Question


class ScriptedCall(BaseModel):
    """A tool call that a rule answers with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: dict[str, Any] = {}


class Rule(BaseModel):
    """One scripted answer. Patterns are searched for, across lines, case as written.

    Attributes:
        pattern: On the last user message.
        system: On the system or developer messages and instructions.
        model: On the model's name.
        tool: On the result of the last tool call. Without it, a rule that calls tools does not
            answer to a tool's result: it would call again and again.
        answer: Text to answer with.
        json_value: A value to answer with as JSON text; `json` in a file.
        tool_calls: Tools to call.
        times: How often the rule answers; None for always.
        delay: Seconds to wait instead of the usual latency.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    pattern: re.Pattern[str] = re.compile("")
    system: re.Pattern[str] | None = None
    model: re.Pattern[str] | None = None
    tool: re.Pattern[str] | None = None
    answer: str | None = None
    json_value: Any = Field(default=None, alias="json")
    tool_calls: tuple[ScriptedCall, ...] = ()
    times: Annotated[int, Field(ge=1)] | None = None
    delay: Duration | None = None

    @model_validator(mode="after")
    def _one_answer(self) -> Rule:
        answers = {
            "answer": self.answer is not None,
            "json": self.json_value is not None,
            "tool_calls": bool(self.tool_calls),
        }
        given = [name for name, is_given in answers.items() if is_given]
        if len(given) != 1:
            raise ValueError(
                f"expected exactly one of {', '.join(answers)}, got: {', '.join(given) or 'none'}"
            )
        return self

    def matches(self, question: Question) -> bool:
        """Whether this rule is meant for the question."""
        if self.tool is None:
            if self.tool_calls and question.tool_result is not None:
                return False
        elif question.tool_result is None or not self.tool.search(question.tool_result):
            return False
        return (
            self.pattern.search(question.user) is not None
            and (self.system is None or self.system.search(question.system) is not None)
            and (self.model is None or self.model.search(question.model) is not None)
        )


class Script:
    """Rules in order, and how often each one has answered."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = tuple(rules)
        self._used = [0] * len(self._rules)

    def find(self, question: Question) -> Rule | None:
        """The first rule that matches and is not used up; counts as one use."""
        for place, rule in enumerate(self._rules):
            spent = rule.times is not None and self._used[place] >= rule.times
            if not spent and rule.matches(question):
                self._used[place] += 1
                return rule
        return None

    def reset(self) -> None:
        """Start over: no rule has been used."""
        self._used = [0] * len(self._rules)


def read_script(path: Path) -> tuple[Rule, ...]:
    """Read rules from a TOML or JSON file. Blocks: not for the event loop.

    Raises:
        ConfigError: The file cannot be read, or a rule is wrong; names the rule and the reason.
    """
    try:
        text = path.read_text(encoding="utf-8")
        value: Any = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as exc:
        raise ConfigError(f"cannot read scripted answers from {path}: {exc}") from exc
    rules: Any = value.get("answers") if is_object(value) else value
    if not is_list(rules):
        raise ConfigError(f'{path}: expected a list "answers", got: {type(rules).__name__}')
    return tuple(_rule(rule, f"{path}: answers[{n}]") for n, rule in enumerate(rules))


def _rule(value: Any, place: str) -> Rule:
    try:
        return Rule.model_validate(value)
    except ValidationError as exc:
        error = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in ("", *error["loc"]))
        message = error["msg"].removeprefix("Value error, ")
        shown = "" if "got:" in message else f", got: {error['input']!r:.80}"
        raise ConfigError(f"{place}{where}: {message}{shown}") from None
