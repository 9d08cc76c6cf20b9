"""Tokens and price, read from every form in which they come."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.messages import Usage
from supervisor.upstream.usage import usage_of

CHAT = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 60},
    "completion_tokens_details": {"reasoning_tokens": 30},
}
OPENAI = {**CHAT, "completion_tokens": 50}
RESPONSE = {
    "input_tokens": 100,
    "output_tokens": 50,
    "total_tokens": 150,
    "input_tokens_details": {"cached_tokens": 60},
    "output_tokens_details": {"reasoning_tokens": 30},
}
SAME = Usage(prompt=100, completion=20, reasoning=30, cached=60)


@pytest.mark.parametrize(
    "document",
    [
        {"usage": CHAT},
        {"usage": OPENAI},
        {"usage": RESPONSE},
        {"choices": [], "usage": CHAT},
        {"type": "response.completed", "response": {"usage": RESPONSE}},
    ],
    ids=["chat", "OpenAI's chat", "response", "chunk", "event"],
)
def test_every_form_is_the_same(document: dict[str, Any]) -> None:
    """Reasoning is counted once, whether the API puts it into the answer's tokens or beside."""
    usage = usage_of(document)
    assert usage is not None
    assert usage == SAME
    assert usage.total == 150


def test_an_answer_without_reasoning() -> None:
    """Plain answers have no details."""
    usage = usage_of({"usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}})
    assert usage == Usage(9, 3)


@pytest.mark.parametrize(
    ("ticks", "cost"),
    [(37_756_000, Decimal("0.0037756")), (0, Decimal(0)), (None, None), ("3", None), (1.5, None)],
)
def test_cost_ticks(ticks: object, cost: Decimal | None) -> None:
    """Ten billion ticks are a dollar; what is no whole number is no price."""
    usage = usage_of({"usage": {**CHAT, "cost_in_usd_ticks": ticks}})
    assert usage is not None
    assert usage.cost == cost


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"usage": None},
        {"usage": []},
        {"usage": "many"},
        {"response": None},
        {"type": "response.created", "response": {"usage": None}},
    ],
)
def test_an_answer_without_usage(document: dict[str, Any]) -> None:
    """None says that the API did not say, which is not the same as nothing used."""
    assert usage_of(document) is None


@pytest.mark.parametrize("raw", [{}, {"prompt_tokens": None}, {"cost_in_usd_ticks": 5}])
def test_usage_that_says_nothing(raw: dict[str, Any]) -> None:
    """Without a single count nobody knows what was used, and the reservation must stand."""
    usage = usage_of({"usage": raw})
    assert usage is None or usage.total > 0


@pytest.mark.parametrize("ticks", [{}, {"cost_in_usd_ticks": 0}])
@pytest.mark.parametrize("form", [CHAT, RESPONSE])
def test_zeros_say_nothing(form: dict[str, Any], ticks: dict[str, int]) -> None:
    """Servers that do not count send noughts; an answer for nothing there is not."""
    noughts = {name: 0 for name, count in form.items() if isinstance(count, int)}
    assert usage_of({"usage": {**noughts, **ticks}}) is None
    paid = usage_of({"usage": {**noughts, "cost_in_usd_ticks": 7}})
    assert paid is not None
    assert paid.cost == Decimal("0.0000000007")


ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())
USAGE = st.dictionaries(
    st.sampled_from([*CHAT, *RESPONSE, "cost_in_usd_ticks"]),
    ODD | st.dictionaries(st.sampled_from(["cached_tokens", "reasoning_tokens"]), ODD, max_size=2),
)


@given(st.dictionaries(st.sampled_from(["usage", "response"]), ODD | USAGE))
def test_malformed_usage_never_raises(document: dict[str, Any]) -> None:
    """Whatever stands where numbers should, there is a usage or none, and no exception."""
    usage = usage_of(document)
    assert usage is None or min(usage.prompt, usage.reasoning, usage.cached, usage.total) >= 0


@pytest.mark.parametrize(
    "raw",
    [
        {"total_tokens": 15},
        {"prompt_tokens": 10, "total_tokens": 15},
        {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 15},
    ],
)
def test_the_total_is_never_undercut(raw: dict[str, Any]) -> None:
    """What only the total tells of, as some APIs do for thinking, counts against the limits."""
    usage = usage_of({"usage": raw})
    assert usage is not None
    assert usage.total == 15


def test_true_is_no_count() -> None:
    """JSON's true is not the number one."""
    assert usage_of({"usage": {"prompt_tokens": True}}) is None


def test_counts_are_never_negative() -> None:
    """Numbers that contradict each other never give a negative count."""
    usage = usage_of(
        {
            "usage": {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 15,
                "completion_tokens_details": {"reasoning_tokens": 9},
            }
        }
    )
    assert usage is not None
    assert usage.completion >= 0


@pytest.mark.parametrize("count", [-1, 10**9 + 1, 10**19])
def test_counts_that_cannot_be_say_nothing(count: int) -> None:
    """One impossible count, a detail's included, makes what was used unknown."""
    assert usage_of({"usage": {**CHAT, "prompt_tokens": count}}) is None
    details = {"completion_tokens_details": {"reasoning_tokens": count}}
    assert usage_of({"usage": {**CHAT, **details}}) is None


@pytest.mark.parametrize("ticks", [-1, 10**19, True, 1.5, float("nan")])
def test_prices_that_cannot_be_are_unknown(ticks: object) -> None:
    """An impossible price is no price; the counts beside it stand."""
    usage = usage_of({"usage": {**CHAT, "cost_in_usd_ticks": ticks}})
    assert usage == SAME
