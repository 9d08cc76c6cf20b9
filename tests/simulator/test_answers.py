"""What the simulated model says."""

from __future__ import annotations

import json
from typing import Any

from supervisor.simulator.answers import Answer, Answerer
from supervisor.simulator.dice import Dice
from supervisor.simulator.failures import Failure
from supervisor.simulator.question import Question, Tool
from supervisor.simulator.script import Rule, Script
from supervisor.simulator.usage import count_tokens

ADD = Tool("add", {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})


def ask(answerer: Answerer, user: str = "hello", **fields: Any) -> Answer:
    answer = answerer.answer(Question(model="grok-4.7", user=user, **fields), Dice(0, 1))
    assert isinstance(answer, Answer)
    return answer


def scripted(**rule: Any) -> Answerer:
    return Answerer(Script([Rule.model_validate(rule)]))


def test_the_same_question_gets_the_same_answer() -> None:
    """Default texts depend on seed and question, and are as long as asked for."""
    one, other = Answerer(Script(), seed=1, tokens=50), Answerer(Script(), seed=2, tokens=50)
    assert ask(one).text == ask(one).text
    assert ask(one).text != ask(one, "something else").text
    assert ask(one).text != ask(other).text
    assert ask(one).tokens == count_tokens(ask(one).text) == 50


def test_lengths_can_vary() -> None:
    """With a spread, answers have from `tokens` to `tokens + spread` tokens."""
    answerer = Answerer(Script(), tokens=10, spread=5)
    question = Question(model="grok-4.7")
    answers = [answerer.answer(question, Dice(0, index)) for index in range(200)]
    assert {answer.tokens for answer in answers if isinstance(answer, Answer)} == set(range(10, 16))


def test_texts_are_remembered_up_to_a_bound() -> None:
    """Endless lengths do not fill the memory, and the text is the same either way."""
    answerer = Answerer(Script())
    # One more length than there is room for.
    many = [(1, variant) for variant in range(64 * 64 + 1)]
    before = [answerer.prose(tokens, variant) for tokens, variant in many]
    assert before == [answerer.prose(tokens, variant) for tokens, variant in many]


def test_a_schema_is_answered_with_a_value_that_conforms() -> None:
    """Structured output is JSON text of a conforming value."""
    answer = ask(Answerer(Script()), schema=ADD.parameters)
    assert json.loads(answer.text) == {"a": 1}


def test_any_object_will_do_where_that_is_asked_for() -> None:
    """`json_object` gets an object."""
    assert isinstance(json.loads(ask(Answerer(Script()), json_object=True).text), dict)


def test_a_schema_that_cannot_be_met_is_refused() -> None:
    """The client hears what is wrong with its schema."""
    failure = Answerer(Script()).answer(
        Question(model="grok-4.7", schema={"type": "thing"}), Dice(0, 1)
    )
    assert isinstance(failure, Failure)
    assert failure.status == 400
    assert 'got: "thing"' in failure.text


def test_a_tool_that_has_to_be_called_is_called() -> None:
    """`required` calls the first tool, a name calls that one, with conforming arguments."""
    other = Tool("other", {"type": "object"})
    tools = (other, ADD)
    first = ask(Answerer(Script()), tools=tools, must_call="")
    named = ask(Answerer(Script()), tools=tools, must_call="add")
    assert (first.calls[0].name, first.calls[0].arguments) == ("other", "{}")
    assert (named.calls[0].name, named.calls[0].arguments) == ("add", '{"a":1}')
    assert (named.text, named.finish, named.tokens) == ("", "tool_calls", 3)


def test_tools_on_offer_need_not_be_called() -> None:
    """Without being told to, the model answers in words."""
    assert ask(Answerer(Script()), tools=(ADD,)).calls == ()


def test_a_script_goes_before_everything() -> None:
    """Text, value and tool calls are said as they are written down."""
    assert ask(scripted(answer="Yes."), schema=ADD.parameters).text == "Yes."
    assert json.loads(ask(scripted(json={"b": [1]})).text) == {"b": [1]}
    calls = ask(scripted(tool_calls=[{"name": "run", "arguments": {"c": "ls"}}, {"name": "end"}]))
    assert [(call.name, call.arguments) for call in calls.calls] == [
        ("run", '{"c":"ls"}'),
        ("end", "{}"),
    ]
    assert len({call.id for call in calls.calls}) == 2
    assert ask(scripted(answer="Yes.", delay="3s")).delay == 3.0


def test_an_answer_is_cut_at_the_most_tokens() -> None:
    """`max_tokens` ends the text, and the finish reason says so."""
    answer = ask(scripted(answer="x" * 100), max_tokens=5)
    assert (answer.text, answer.finish, answer.tokens) == ("x" * 20, "length", 5)
    assert ask(scripted(answer="x" * 20), max_tokens=5).finish == "stop"
