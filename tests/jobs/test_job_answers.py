"""The pool of recorded answers: found by question, in any order, each once."""

from __future__ import annotations

import json
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.jobs.answers import Answer, Answers, Owed, Record, read_record
from supervisor.messages import Promise

digests = st.sampled_from(["a", "b", "c"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50)
@given(recorded=st.lists(digests), asked=st.lists(digests))
def test_each_answer_is_given_once(recorded: list[str], asked: list[str]) -> None:
    """However a later run asks, it finds each answer once, and none where none was recorded."""
    pool = Answers(Answer(digest, number) for number, digest in enumerate(recorded))
    found = [answer for digest in asked if (answer := pool.take(digest)) is not None]
    assert Counter(answer.digest for answer in found) == Counter(recorded) & Counter(asked)
    assert len({answer.value for answer in found if isinstance(answer.value, int)}) == len(found)
    assert len(pool) == len(recorded) - len(found)


@settings(max_examples=30)
@given(order=st.permutations(["a", "b", "c", "c"]))
def test_order_does_not_matter(order: list[str]) -> None:
    """A run that asks the same questions in another order finds all the answers."""
    pool = Answers(Answer(digest, digest) for digest in ("a", "b", "c", "c"))
    assert [getattr(pool.take(digest), "value", None) for digest in order] == order
    assert len(pool) == 0
    assert repr(pool) == "<Answers unused=0 owed=0>"


@settings(max_examples=25)
@given(value=values)
def test_every_json_value_survives_the_record(value: object) -> None:
    """What is written down can be stored by every database and is read back as it was."""
    answer = Answer("a", value)  # type: ignore[arg-type]
    stored = json.dumps(answer.to_record(), ensure_ascii=False).encode()
    assert Answer.from_record(json.loads(stored)) == answer


def test_half_a_surrogate_pair_survives_the_record() -> None:
    """A text that is no valid Unicode, as models do emit, is stored escaped and read back."""
    answer = Answer("a", ["\ud83d", "ok"])
    stored = json.dumps(answer.to_record(), ensure_ascii=False).encode()
    assert Answer.from_record(json.loads(stored)) == answer


def test_an_answer_is_what_will_be_read_back() -> None:
    """What a first run gets is what a later run will get; what is no JSON is refused at once."""
    assert Answer.make("a", {1: (2, "x")}) == Answer("a", {"1": [2, "x"]})
    with pytest.raises(TypeError, match="not JSON serializable"):
        Answer.make("a", {"b": object()})


def test_what_is_no_answer_is_passed_over() -> None:
    """A record that nobody here wrote is no answer."""
    assert [Answer.from_record(record) for record in (None, "text", {}, {"digest": 1})] == [
        None
    ] * 4


# -- promises -------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(
    owed=st.lists(digests, max_size=8),
    ends=st.lists(st.integers(0, 7), unique=True),
    seed=st.randoms(),
)
def test_a_promise_is_good_until_its_answer(owed: list[str], ends: list[int], seed: Random) -> None:
    """Of the promises on record those without an answer are handed out, each once."""
    promises = [Owed(digest, Promise(f"p{number}", 1.0)) for number, digest in enumerate(owed)]
    kept = [promises[number] for number in ends if number < len(promises)]
    answers = [Answer(one.digest, "ok", one.promise.id) for one in kept]
    records: list[Record] = [*promises, *answers]
    seed.shuffle(records)
    pool = Answers(records)
    found = [promise.id for digest in owed if (promise := pool.take_promise(digest)) is not None]
    assert sorted(found) == sorted({one.promise.id for one in promises if one not in kept})
    assert all(pool.take_promise(digest) is None for digest in owed)
    assert len(pool) == len(answers)


def test_a_promise_that_is_put_back() -> None:
    """What could not be fetched is the next that is handed out to the same question."""
    first, second = Promise("one", 1.0), Promise("two", 2.0)
    pool = Answers([Owed("a", first), Owed("a", second)])
    assert pool.take_promise("b") is None
    assert pool.take_promise("a") == first
    pool.put_back("a", first)
    assert repr(pool) == "<Answers unused=0 owed=2>"
    assert [pool.take_promise("a") for _ in range(3)] == [first, second, None]


def test_every_record_is_read_as_what_it_was() -> None:
    """Answers, with and without a promise, and promises survive the record."""
    records: list[Record] = [
        Answer("a", None),
        Answer("a", "\ud83d", "one"),
        Answer("a", [1], "one"),
        Owed("a", Promise("one", 1.5)),
        Owed("a", Promise("one", 1.5, 1.25, 10**10)),
    ]
    stored = [json.loads(json.dumps(record.to_record())) for record in records]
    assert [read_record(record) for record in stored] == records
    # An earlier version, which knows no promises, must not take one for an answer.
    assert Answer.from_record(stored[3]) is None


def test_what_is_no_promise_is_passed_over() -> None:
    """A record that nobody here wrote is no promise either."""
    strange: list[object] = [None, "text", {}, {"owed": 1}, {"owed": "a", "promise": 2}]
    assert [Owed.from_record(record) for record in strange] == [None] * 5
    assert Owed.from_record({"owed": "a", "promise": "one"}) == Owed("a", Promise("one", 0.0))
