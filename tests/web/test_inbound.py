"""What is read of a call, and what is left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.errors import InvalidRequest
from supervisor.web.inbound import passed_on, read_deadline, read_question

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = ("model", "stream", "max_tokens", "max_completion_tokens", "max_output_tokens")


@settings(max_examples=40)
@given(st.dictionaries(st.text().filter(lambda name: name not in _FIELDS), _VALUES, max_size=5))
def test_putting_a_model_in_changes_nothing_else(document: dict[str, Any]) -> None:
    """The body with a model put in is the body plus that model, whatever else it holds."""
    body = json.dumps(document, indent=1).encode("utf-8", "surrogatepass")
    if any("\ud800" <= char <= "\udfff" for char in json.dumps(document, ensure_ascii=False)):
        return
    question = read_question(body, default_model='gr"ok')
    assert json.loads(question.body) == {**document, "model": 'gr"ok'}
    assert question.body.endswith(body[1:].lstrip() if document else b"}")


@pytest.mark.parametrize("given_model", ["null", '""'])
def test_empty_models_are_replaced(given_model: str) -> None:
    """A model that is null or empty is none."""
    body = f'{{"model": {given_model}, "seed": {10**25}}}'.encode()
    question = read_question(body, default_model="grok-4.7")
    assert json.loads(question.body) == {"model": "grok-4.7", "seed": 10**25}
    assert question.model == "grok-4.7"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"m"}', None),
        (b'{"model":"m","max_tokens":5}', 5),
        (b'{"model":"m","max_tokens":5,"max_completion_tokens":9}', 9),
        (b'{"model":"m","max_output_tokens":7}', 7),
        (b'{"model":"m","max_tokens":"many"}', None),
        (b'{"model":"m","max_tokens":true}', None),
        (b'{"model":"m","max_tokens":-1}', None),
        (b'{"model":"m","max_tokens":-1,"max_output_tokens":7}', 7),
    ],
)
def test_bound_of_the_answer_is_found(body: bytes, expected: int | None) -> None:
    """The bound is taken from whichever field says it; nonsense is left to the API to refuse."""
    assert read_question(body, default_model="m").max_output == expected


def test_long_values_are_cut_in_errors() -> None:
    """An error shows the beginning of a value, never a whole megabyte."""
    with pytest.raises(InvalidRequest) as caught:
        read_question(json.dumps(["x" * 1000]).encode(), default_model="m")
    assert len(str(caught.value)) < 200


def test_deadlines_are_durations() -> None:
    """A deadline reads like every other duration; none is none."""
    assert read_deadline(b"30s") == 30.0
    assert read_deadline(b"250ms") == 0.25
    assert read_deadline(None) is None


def test_only_the_apis_own_headers_are_passed_on() -> None:
    """Headers of the API's own family go on; cookies, tokens and ours stay here."""
    headers = {
        b"x-grok-conv-id": b"c1",
        b"cookie": b"secret",
        b"authorization": b"Bearer x",
        b"x-supervisor-role": b"quality",
    }
    assert passed_on(headers) == {"x-grok-conv-id": "c1"}


@pytest.mark.parametrize("model", ["m" * 201, "a\nb", "a\x1b[2Jb", "a\x00"])
def test_a_name_that_no_model_has_is_refused(model: str) -> None:
    """A name is kept in every row of usage and shown in terminals: it is short and printable."""
    with pytest.raises(InvalidRequest, match="expected model to be a name of at most 200"):
        read_question(json.dumps({"model": model}).encode(), default_model="grok-4.7")
    assert read_question(b'{"model": "' + b"m" * 200 + b'"}', default_model="x").model == "m" * 200
