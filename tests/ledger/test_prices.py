"""An answer's price is what the API says, else what the list says."""

from __future__ import annotations

from decimal import Decimal

from supervisor.ledger.prices import KNOWN, Price, Prices
from supervisor.messages import Usage

PRICES = Prices({"m": Price(Decimal(2), Decimal("0.5"), Decimal(6))})


def test_all_kinds_of_tokens_have_their_price() -> None:
    """Cached prompt tokens are cheaper; reasoning costs as answers do."""
    usage = Usage(prompt=1_000_000 // 10, completion=50_000, reasoning=50_000, cached=20_000)
    cost = PRICES.priced(usage, "m").cost
    assert cost == Decimal("0.16") + Decimal("0.01") + Decimal("0.6")


def test_a_long_prompt_doubles_the_price() -> None:
    """From 200,000 prompt tokens on all of the request costs double."""
    short, long = (PRICES.priced(Usage(prompt=size), "m").cost for size in (199_999, 200_000))
    assert (short, long) == (Decimal("0.399998"), Decimal("0.8"))


def test_the_api_knows_best() -> None:
    """A price that came with the answer stays; that of an unknown model stays unknown."""
    assert PRICES.priced(Usage(prompt=1, cost=Decimal(7)), "m").cost == 7
    assert PRICES.priced(Usage(prompt=1), "other").cost is None
    assert not PRICES.knows("other")


def test_an_unknown_model_costs_what_the_dearest_do() -> None:
    """Its reservation is no less than that of any model on the list."""
    usage = Usage(1_000, 500)
    assert PRICES.at_most("other", usage) >= max(
        PRICES.at_most(one, usage) for one in ("m", *KNOWN)
    )


def test_estimates_are_ticks() -> None:
    """Likely prices are counted in ticks of 1e-10 US dollars."""
    assert PRICES.at_most("m", Usage(1_000, 500)) == 50_000_000


def test_prices_of_xai_are_known() -> None:
    """The models of shared/facts/xai.md need no configuration."""
    assert KNOWN["grok-4.7"].output == 6
    assert all(price.cached < price.input < price.output for price in KNOWN.values())
