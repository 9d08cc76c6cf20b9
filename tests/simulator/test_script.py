"""Answers written down beforehand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from supervisor.errors import ConfigError
from supervisor.simulator.question import Question
from supervisor.simulator.script import Rule, Script, read_script


def ask(user: str = "", **fields: Any) -> Question:
    return Question(model=fields.pop("model", "grok-4.7"), user=user, **fields)


def rule(**fields: Any) -> Rule:
    return Rule.model_validate({"answer": "yes"} | fields)


def found(script: Script, question: Question) -> str | None:
    match = script.find(question)
    return None if match is None else match.answer


def test_the_first_matching_rule_answers() -> None:
    """Rules are tried in order; a pattern is searched for in the last user message."""
    script = Script([rule(pattern="rev", answer="1"), rule(pattern="review", answer="2")])
    assert found(script, ask("please review")) == "1"
    assert found(script, ask("please")) is None


def test_a_used_up_rule_lets_the_next_one_answer() -> None:
    """`times` bounds how often a rule answers, until the script starts over."""
    script = Script([rule(answer="first", times=2), rule(answer="then")])
    answers = [found(script, ask("x")) for _ in range(3)]
    script.reset()
    assert [*answers, found(script, ask("x"))] == ["first", "first", "then", "first"]


@pytest.mark.parametrize(
    ("pattern", "question", "matches"),
    [
        ({"system": "critic"}, ask(system="You are a critic."), True),
        ({"system": "critic"}, ask(), False),
        ({"model": "build"}, ask(model="grok-build-0.1"), True),
        ({"model": "build"}, ask(), False),
        ({"tool": "exit 0"}, ask(tool_result="exit 0"), True),
        ({"tool": "exit 0"}, ask(tool_result="exit 1"), False),
        ({"tool": "exit 0"}, ask(), False),
        ({}, ask(tool_result="exit 0"), True),
        ({"pattern": "(?s)^a.*b$"}, ask("a\nb"), True),
    ],
)
def test_every_pattern_of_a_rule_has_to_match(
    pattern: dict[str, str], question: Question, *, matches: bool
) -> None:
    """Instructions, model and the last tool's result narrow a rule down."""
    assert rule(**pattern).matches(question) is matches


def test_a_rule_that_calls_tools_does_not_answer_their_results() -> None:
    """Else the same rule would call its tool for ever; with `tool` it is meant."""
    calls: dict[str, Any] = {"tool_calls": [{"name": "run", "arguments": {"cmd": "ls"}}]}
    assert Rule.model_validate(calls).matches(ask("x"))
    assert not Rule.model_validate(calls).matches(ask("x", tool_result="done"))
    assert Rule.model_validate(calls | {"tool": "done"}).matches(ask("x", tool_result="done"))


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    """A script can be written in either; a JSON file may be the bare list."""
    toml = tmp_path / "script.toml"
    toml.write_text('[[answers]]\npattern = "a"\njson = { b = 1 }\ntimes = 2\ndelay = "2s"\n')
    rules: list[dict[str, Any]] = [{"pattern": "a", "json": {"b": 1}, "times": 2, "delay": "2s"}]
    bare, wrapped = tmp_path / "bare.json", tmp_path / "wrapped.json"
    bare.write_text(json.dumps(rules))
    wrapped.write_text(json.dumps({"answers": rules}))
    assert read_script(toml) == read_script(bare) == read_script(wrapped)
    assert read_script(toml)[0].delay == 2.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("answers = 3", 'expected a list "answers", got: int'),
        ("[[answers]]\npattern = 'a'", "expected exactly one of answer, json, tool_calls"),
        ("[[answers]]\nanswer = 'a'\njson = 1", "got: answer, json"),
        (
            "[[answers]]\nanswer = 'a'\n[[answers]]\nanswer = 'a'\npattern = '('",
            "answers[1].pattern",
        ),
        ("[[answers]]\nanswer = 'a'\ntimes = 0", "answers[0].times"),
        ("[[answers]]\nanswer = 'a'\nwhen = 'b'", "answers[0].when"),
        ("[[answers]", "cannot read scripted answers"),
    ],
)
def test_a_broken_script_says_where_and_what(tmp_path: Path, text: str, expected: str) -> None:
    """An error names the file, the rule and what was expected."""
    path = tmp_path / "script.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_script(path)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)


def test_a_missing_script_is_an_error_of_configuration(tmp_path: Path) -> None:
    """A file that is not there is reported as such."""
    with pytest.raises(ConfigError, match="cannot read scripted answers"):
        read_script(tmp_path / "nowhere.toml")
