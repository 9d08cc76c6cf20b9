"""Which key is used, and what is often pasted in its place."""

from __future__ import annotations

import pytest

from supervisor.config.key import find_key
from supervisor.config.report import Report
from supervisor.config.variables import Environment, Variable
from supervisor.errors import ConfigError

XAI = "https://api.x.ai/v1"


def environment(**texts: str) -> Environment:
    """Variables as the process has them."""
    return {name: Variable(name, text, f"variable {name}") for name, text in texts.items()}


def problem(base_url: str | None = XAI, **texts: str) -> str:
    """What is said about a key."""
    report = Report()
    find_key(environment(**texts), report, base_url=base_url)
    with pytest.raises(ConfigError) as caught:
        report.raise_if_any()
    return str(caught.value)


@pytest.mark.parametrize("name", ["GROK_API_KEY", "XAI_API_KEY"])
def test_either_name(name: str) -> None:
    """The key is found under both of its names."""
    report = Report()
    key = find_key(environment(**{name: "xai-test-not-a-real-key"}), report, base_url=XAI)
    report.raise_if_any()
    assert key is not None
    assert key.get_secret_value() == "xai-test-not-a-real-key"


def test_both_names_with_one_key() -> None:
    """The same key twice is one key."""
    report = Report()
    key = "xai-test-not-a-real-key"
    assert find_key(environment(GROK_API_KEY=key, XAI_API_KEY=key), report, base_url=XAI)
    report.raise_if_any()


def test_two_different_keys() -> None:
    """Nobody can guess which of two keys is meant."""
    text = problem(GROK_API_KEY="xai-test-one-one", XAI_API_KEY="xai-test-two-two")
    assert text == (
        "variable GROK_API_KEY and variable XAI_API_KEY hold different keys: keep one of them"
    )


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("gsk_test-not-a-real-key", "this is a Groq key, not a Grok key"),
        ("sk-test-not-a-real-key", "looks like an OpenAI key, but requests go to api.x.ai"),
        ("xai-test-not a-real-key", "without white space"),
        ("xai-test-not-a-real-key\n", "without white space"),
        ('"xai-test-not-a-real-key"', "without quotation marks"),
        ("xai-tést-not-a-real-key", "printable ASCII"),
    ],
)
def test_no_grok_key(key: str, said: str) -> None:
    """A key that cannot work is refused before the API has to refuse it, and never shown."""
    text = problem(GROK_API_KEY=key)
    assert said in text
    assert "not-a-real-key" not in text
    assert "real-key" not in text


@pytest.mark.parametrize("base_url", ["https://api.groq.com/openai/v1", "http://x.ai.evil", None])
def test_another_api_has_other_keys(base_url: str | None) -> None:
    """Keys of other vendors are right for the APIs of other vendors."""
    report = Report()
    assert find_key(environment(GROK_API_KEY="gsk_test-key"), report, base_url=base_url)
    report.raise_if_any()
