"""Settings from plain data, and what is said when they are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor.errors import ConfigError
from supervisor.limits import Limit
from supervisor.simulator.settings import Settings


def test_texts_become_limits_and_seconds() -> None:
    """Limits and durations are written as everywhere in the project."""
    settings = Settings.read(
        {"limits": ["100 requests / minute"], "latency": "200ms", "faults": {"stall": "5m"}}
    )
    assert settings.limits == (Limit(100, "requests", 60.0),)
    assert (settings.latency, settings.faults.stall) == (0.2, 300.0)


def test_settings_survive_json() -> None:
    """What is shown can be read back, but for the key, which is never shown."""
    settings = Settings.read(
        {
            "limits": ["5 tokens / 90s burst 2"],
            "key": "xai-test-secret",
            "script": [{"pattern": "a+", "json": {"b": 1}}],
        }
    )
    shown = settings.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert "secret" not in str(shown)
    again = Settings.read(shown | {"key": "xai-test-secret"})
    assert again == settings


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"limit": ["1 requests / day"]}, "unknown setting limit, did you mean limits?"),
        ({"faults": {"cuts": 1}}, "unknown setting faults.cuts, did you mean cut?"),
        ({"zzzz": 1}, "unknown setting zzzz, expected one of: limits, kind"),
        ({"limits": ["100 rpm"]}, '"N requests / PERIOD"'),
        ({"latency": "fast"}, 'expected a duration like "250ms", "90s", "5m" or "2h", got: "fast"'),
        ({"latency": -1}, "latency: Input should be greater than or equal to 0, got: -1"),
        ({"kind": "leaky"}, "got: 'leaky'"),
        ({"faults": {"cut": 0.7, "capacity": 0.5}}, "sum to at most 1, got: 1.2"),
        ({"models": []}, "models: Tuple should have at least 1 item"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(value: dict[str, Any], expected: str) -> None:
    """An error says which setting, what it was and what was expected."""
    with pytest.raises(ConfigError) as caught:
        Settings.read(value)
    assert expected in str(caught.value)


def test_a_wrong_key_is_not_repeated() -> None:
    """Whatever is wrong with the key, its text stays out of the error."""
    with pytest.raises(ConfigError) as caught:
        Settings.read({"key": ["xai-test-secret"]})
    assert "secret" not in str(caught.value)


def test_a_change_keeps_the_rest() -> None:
    """A patch replaces what it names; `faults` only those faults that it names."""
    before = Settings.read({"seed": 3, "key": "xai-test-a", "faults": {"cut": 0.1}})
    after = before.changed({"latency": "1s", "faults": {"capacity": 0.2}})
    assert (after.seed, after.latency, after.key) == (3, 1.0, before.key)
    assert (after.faults.cut, after.faults.capacity) == (0.1, 0.2)
    with pytest.raises(ConfigError):
        before.changed({"faults": {"cut": 2}})
