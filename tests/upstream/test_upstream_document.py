"""JSON on the wire: no digit of an integer is lost where it must not be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.upstream.document import read_exact, write_exact

_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60)
@given(_VALUES)
def test_what_is_written_is_read(value: Any) -> None:
    """Any JSON value comes back as it was, its type included."""
    again = read_exact(write_exact(value))
    assert (again, repr(again)) == (value, repr(value))


@pytest.mark.parametrize("text", [b"NaN", b"[1,]", b"{", b"", b"1" * 400, b'"\\ud83d"'])
def test_only_json_is_read(text: bytes) -> None:
    """Nothing is read that orjson does not take for JSON."""
    with pytest.raises(ValueError, match=r"\w"):
        read_exact(text)


def test_no_json_is_never_written() -> None:
    """What has no form in JSON is an error beside a long integer too, and never a `NaN`."""
    with pytest.raises(ValueError, match="Out of range float"):
        write_exact([10**25, float("nan")])
    assert json.loads(write_exact(["x\ud83d", 10**25])) == ["x\ud83d", 10**25]
