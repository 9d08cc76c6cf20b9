"""What a request is thought to cost: no less than it does, though those before it were short."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.broker.account import Account
from supervisor.ledger.ledger import Answered
from supervisor.ledger.prices import KNOWN, Prices, ticks
from supervisor.ledger.sums import Sums
from supervisor.messages import Request, TrafficClass, Usage

LISTED = Prices(KNOWN)
SIZES = st.lists(st.integers(0, 1_500_000), min_size=1, max_size=8)
LENGTHS = st.integers(1, 5_000)
MOST = st.none() | st.integers(1, 6_000)
FRAME = b'{"model":"grok-4.7","messages":[{"role":"user","content":"%s"}]}'


def asked(size: int, letter: bytes = b"x", *, most: int | None = None) -> Request:
    """A chat with a text of so many bytes."""
    body = FRAME % (letter * (size // len(letter)))
    return Request(id="a", traffic_class="code", body=body, model="grok-4.7", max_output=most)


def used(request: Request, answer: int, per_token: int = 4) -> Usage:
    """What its text has, as APIs count it: nothing for the JSON round it."""
    text = len(request.body) - len(FRAME) + 2
    return Usage(text // per_token, answer)


def account() -> Account:
    """One that has learned nothing."""
    return Account(0, TrafficClass("code"), Sums())


@given(before=SIZES, size=st.integers(0, 1_500_000), answer=st.integers(1, 5_000))
def test_no_dearer_than_thought_by_the_list(before: list[int], size: int, answer: int) -> None:
    """However short the bodies were that it learned from, whose JSON is most of them."""
    one = account()
    for known in before:
        short = asked(known)
        one.learn_cost(used(short, answer), short, LISTED)
    request = asked(size)
    real, likely = used(request, answer), one.likely_cost(request, LISTED)
    cost = LISTED.at_most("grok-4.7", real)
    assert cost <= likely
    if not 180_000 < real.prompt < 200_000:
        assert likely <= 1.1 * cost + 1_000_000


@given(before=SIZES, size=st.integers(0, 1_500_000), answer=st.integers(1, 5_000))
def test_no_dearer_than_thought_by_what_it_told(before: list[int], size: int, answer: int) -> None:
    """Likewise where no list knows the price, and the API tells it with each answer.

    But for the tokens that small bodies are thought to have and have not.
    """
    one, unknown = account(), Prices()
    price = KNOWN["grok-4.7"]
    for known in [*before, 10]:
        short = asked(known)
        usage = used(short, answer)
        told = Usage(usage.prompt, usage.completion, cost=price.of(usage))
        one.learn_cost(told, short, unknown)
    request = asked(size)
    slack = ticks(price.of(used(asked(2 * len(FRAME)), 0)))
    assert ticks(price.of(used(request, answer))) <= one.likely_cost(request, unknown) + slack


@given(size=st.integers(1_000, 300_000))
def test_letters_of_other_alphabets_are_dearer(size: int) -> None:
    """A third of a token for each byte is what they have."""
    request, one = asked(size, "中".encode()), account()
    one.learn_cost(Usage(8, 1), asked(10), LISTED)
    cost = LISTED.at_most("grok-4.7", used(request, 1, per_token=3))
    assert cost <= one.likely_cost(request, LISTED)


@given(
    before=st.lists(st.tuples(st.integers(0, 300_000), LENGTHS, LENGTHS, MOST), max_size=8),
    size=st.integers(0, 300_000),
    most=MOST,
    listed=st.booleans(),
)
def test_no_cheaper_than_thought_before_a_restart(
    before: list[tuple[int, int, int, int | None]], size: int, most: int | None, *, listed: bool
) -> None:
    """What is read back from the ledger tells no less than the answers themselves did."""
    prices, price = LISTED if listed else Prices(), KNOWN["grok-4.7"]
    one, next_one = account(), account()
    told: list[Answered] = []
    for known, answer, reasoning, asked_for in before:
        request = asked(known, most=asked_for)
        usage = Usage(used(request, 0).prompt, min(answer, asked_for or answer), reasoning)
        usage = replace(usage, cost=price.of(usage))
        one.learn_cost(usage, request, prices)
        told.append(Answered("code", "grok-4.7", len(request.body), usage))
    next_one.recall(told, prices)
    assert next_one.answers("grok-4.7") == one.answers("grok-4.7")
    request = asked(size, most=most)
    assert next_one.likely_cost(request, prices) >= one.likely_cost(request, prices)


def test_what_is_on_record_of_a_model_that_has_answered_since_is_not_counted_twice() -> None:
    """The own answers of a process are in the ledger, too, when it reads that anew."""
    one, usage = account(), Usage(10, 50)
    one.learn_cost(usage, asked(0), LISTED)
    one.recall([Answered("code", name, 80, usage) for name in ("grok-4.7", "grok-4.3")], LISTED)
    assert (one.answers("grok-4.7"), one.answers("grok-4.3")) == (1, 1)


def answers(*lengths: int, most: int | None = None) -> Account:
    """One that has learned from answers of such lengths."""
    one = account()
    for length in lengths:
        one.learn_cost(Usage(10, length), asked(0, most=most), LISTED)
    return one


def tokens(one: Account, most: int | None = None) -> int:
    """Answer tokens that the next one is thought to have."""
    free = LISTED.at_most("grok-4.7", Usage(-(-len(asked(0).body) // 4), 0))
    return (one.likely_cost(asked(0, most=most), LISTED) - free) // 60_000


@pytest.mark.parametrize(
    ("lengths", "were", "most", "thought"),
    [
        ((), None, None, 1_000),
        ((), None, 4_000, 4_000),
        ((300, 300, 300), None, None, 300),
        ((100, 500), None, None, 600),
        ((100, 500), None, 200, 200),
        ((100, 500), None, 9_000, 600),
        ((50, 50), 50, None, 1_000),
        ((50, 50), 50, 9_000, 9_000),
        ((40, 50), 60, 9_000, 52),
    ],
)
def test_how_long_answers_are(
    lengths: tuple[int, ...], were: int | None, most: int | None, thought: int
) -> None:
    """As long as the longest, and more where they differ; never more than is asked for.

    Answers that were cut off tell nothing of those that may be longer.
    """
    assert tokens(answers(*lengths, most=were), most) == thought


def test_reasoning_is_not_bounded_by_what_is_asked_for() -> None:
    """It comes on top."""
    one = account()
    one.learn_cost(Usage(10, 50, 700), asked(0), LISTED)
    assert tokens(one, 20) == 720


def test_what_the_api_takes_on_top_is_learned() -> None:
    """Searches are not in the list: what they cost of late may come again."""
    one, extra = account(), Decimal("0.025")
    request = asked(400)
    usage = used(request, 10)
    told = Usage(usage.prompt, 10, cost=KNOWN["grok-4.7"].of(usage) + extra)
    one.learn_cost(told, request, LISTED)
    assert one.likely_cost(request, LISTED) >= ticks(told.cost)
