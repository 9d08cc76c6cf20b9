"""What one value may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from supervisor.budget import Budget
from supervisor.config import value
from supervisor.limits import Limit


@pytest.mark.parametrize(
    ("parse", "given_value", "parsed"),
    [
        (value.truth, True, True),
        (value.truth, "on", True),
        (value.truth, "FALSE", False),
        (value.truth, "0", False),
        (value.fraction, 0, 0.0),
        (value.fraction, "0.25", 0.25),
        (value.fraction, 1, 1.0),
        (value.whole_number(least=0), "12", 12),
        (value.whole_number(least=1, most=3), 3, 3),
        (value.duration(zero=True), "0s", 0.0),
        (value.duration(zero=False), "250ms", 0.25),
        (value.size, "20MiB", 20 * 2**20),
        (value.size, "1.5 kb", 1500),
        (value.size, 512, 512),
        (value.size, "512", 512),
        (value.priority, "urgent", 0),
        (value.priority, "Lowest", 80),
        (value.priority, "99", 99),
        (value.limit, "5 tokens / 90s", Limit(5, "tokens", 90.0)),
        (value.limit, Limit(5, "tokens", 90.0), Limit(5, "tokens", 90.0)),
        (value.list_of(str, expectation="a list"), "5 tokens / 90s", ["5 tokens / 90s"]),
        (value.list_of(Path, expectation="a list"), ["a"], ["a"]),
        (value.folder, "roles", Path("roles")),
        (value.folder, Path("roles"), Path("roles")),
        (value.base_url, "http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080/v1"),
        (value.store_url, "sqlite:////srv/x.sqlite", "sqlite:////srv/x.sqlite"),
        (value.store_url, "postgres://u:p@h:5432/n", "postgresql://u:p@h:5432/n"),
        (value.variable, "EDITOR_TOKEN", "EDITOR_TOKEN"),
        (value.one_of("json", "auto"), "JSON", "json"),
        (value.plain_table, {"a": [1, {"b": True}]}, {"a": [1, {"b": True}]}),
        (value.token, SecretStr("t"), SecretStr("t")),
        (value.budget, Budget.parse("1 usd / day"), Budget.parse("1 usd / day")),
    ],
)
def test_reads(parse: Any, given_value: object, parsed: object) -> None:
    """A value in any spelling that people use becomes the one typed value."""
    assert parse(given_value) == parsed


WRONG: list[tuple[Any, list[Any]]] = [
    (value.truth, ["maybe", 1, None, []]),
    (value.fraction, [True, "x", -0.1, 1.1, float("nan"), None]),
    (value.whole_number(least=1, most=9), [0, 10, True, 1.0, "-1", "x"]),
    (value.duration(zero=True), [5, "5", "-1s", "", None]),
    (value.duration(zero=False), ["0s"]),
    (value.size, [0, -1, True, "0", "20 miles", 1.5]),
    (value.priority, [100, -1, True, "highest", 1.5]),
    (value.limit, ["100 rpm", 5, "", "0 requests / minute", "_ requests / minute"]),
    (value.list_of(str, expectation="a list"), [5, {}, None]),
    (value.folder, ["", " ", 5, "a\0b"]),
    (value.base_url, ["api.x.ai", "ftp://x", "https://", "https://u:p@x/v1", "https://x/?a", 5]),
    (value.base_url, ["https://x:port/", "https://x /"]),
    (
        value.store_url,
        ["sqlite://", "mysql://h/n", "postgresql://h", "sqlite://h/x", "postgresql://u:a%b@h/n", 5],
    ),
    (value.variable, ["1X", "A B", "", 5]),
    (value.one_of("json"), ["xml", 5]),
    (value.plain_text("text"), ["", " ", 5]),
    (value.plain_table, [{"a": None}, {"a": [object()]}, 5]),
    (value.token, ["a b", "ü", "a\n", 5]),
    (value.budget, ["5 eur / day", "0 usd / day", "5 usd / x", 5]),
]


@pytest.mark.parametrize(
    ("parse", "wrong"), [(parse, wrong) for parse, wrongs in WRONG for wrong in wrongs]
)
def test_refuses(parse: Any, wrong: object) -> None:
    """A wrong value is refused with what was expected, and without the value."""
    with pytest.raises(ValueError, match=r".") as caught:
        parse(wrong)
    assert "got" not in str(caught.value)


@given(
    st.builds(
        Limit,
        st.integers(min_value=1, max_value=10**9),
        st.sampled_from(["requests", "tokens"]),
        st.integers(min_value=1, max_value=10**5).map(float),
    )
)
def test_limit_text_is_read_back(limit: Limit) -> None:
    """Whatever a limit writes about itself, it reads."""
    assert value.limit(str(limit)) == limit


def test_budget_text_is_read_back() -> None:
    """A budget's text is its own spelling."""
    assert str(Budget.parse(" 2.50 USD/Month ")) == "2.50 usd / month"
    assert Budget.parse(str(Budget.parse("5 usd / day"))) == Budget.parse("5 usd / day")
