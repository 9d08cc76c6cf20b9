"""Settings that contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor.config.consistency import check_shares, contradictions, is_loopback
from supervisor.config.settings import Settings
from supervisor.errors import ConfigError
from supervisor.messages import TrafficClass


def found(**tree: Any) -> list[str]:
    """What contradicts itself, each as its place and its text."""
    settings = Settings.model_validate(tree)
    return [f"{'.'.join(place)}: {text}" for place, text in contradictions(settings)]


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"roles": {f"r{n}": {"share": 0.1} for n in range(10)}},
        {"quota": {"limits": ["5 requests / 1s", "5 tokens / 1s", "300 requests / minute"]}},
        {"quota": {"limits": ["100 requests / minute", "100 requests / hour"]}},
        {"roles": {"ceo": {"ceiling": "90000 requests / minute"}}},
        {"web": {"host": "0.0.0.0", "token": "t"}},
        {"web": {"host": "::1"}},
        {"clients": {"a": {"token_env": "A"}, "b": {"token_env": "B"}}},
        {"schedule": [{"cron": "@daily", "role": "a"}, {"cron": "@daily", "role": "a"}]},
    ],
)
def test_nothing_to_say(tree: dict[str, Any]) -> None:
    """What can be kept together is accepted."""
    assert found(**tree) == []


def test_shares_above_one() -> None:
    """More than everything cannot be guaranteed; the error does the sum."""
    [text] = found(roles={"ceo": {"share": 0.7}}, clients={"ide": {"share": 0.5}, "x": {}})
    assert text == (
        "clients.ide.share: expected the shares of all roles and clients to sum to at most 1, "
        "got: 1.2 (roles.ceo.share 0.7, clients.ide.share 0.5); lower some"
    )


def test_shares_of_the_classes_themselves() -> None:
    """Shares that come from the roles' own classes are summed too, once they are known."""
    check_shares([TrafficClass("a", share=0.5), TrafficClass("b", share=0.5), TrafficClass("c")])
    with pytest.raises(ConfigError, match=r"got: 1\.1 \(a 0\.5, b 0\.6\)"):
        check_shares([TrafficClass("a", share=0.5), TrafficClass("b", share=0.6)])


@pytest.mark.parametrize("place", ["quota.limits", "roles.ceo.ceiling", "clients.ide.ceiling"])
def test_limits(place: str) -> None:
    """Of two limits on the same thing, one is enough; one that cannot be reached says nothing."""
    section, *names, last = place.split(".")
    limits = ["5 requests / minute", "3 requests / hour", "7 requests / 60s", "1 tokens / hour"]
    table: Any = {last: limits}
    texts = found(**{section: {names[0]: table} if names else table})
    assert texts == [
        f"{place}: expected every limit of {place} to be within reach, got: "
        '"5 requests / minute", which can never be reached under "3 requests / hour"; '
        "drop the first or raise the second",
        f"{place}: expected {place} to have one limit for each unit and period, got: "
        '"5 requests / minute" and "7 requests / minute"; drop one',
        f"{place}: expected every limit of {place} to be within reach, got: "
        '"7 requests / minute", which can never be reached under "3 requests / hour"; '
        "drop the first or raise the second",
    ]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "box.example"])
def test_open_door_without_a_token(host: str) -> None:
    """Nobody opens the key to the network by mistake."""
    [text] = found(web={"host": host})
    assert text.startswith("web.host: expected SUPERVISOR_TOKEN to be set")
    assert f'"{host}"' in text


@pytest.mark.parametrize("name", ["Ceo", "1st", "a b", "a.b", "ü", "", "all"])
def test_names(name: str) -> None:
    """A name can be written in a URL, a header and a variable, and is nobody else's."""
    for section in ("roles", "clients"):
        [text] = found(**{section: {name: {}}})
        assert f"expected a name in [{section}]" in text


def test_one_name_for_two() -> None:
    """A traffic class has one name and a name one traffic class."""
    [text] = found(roles={"ceo": {}}, clients={"ceo": {}})
    assert text.startswith("clients.ceo: expected roles and clients to have different names")


def test_one_variable_for_two_clients() -> None:
    """A token belongs to one client."""
    [text] = found(clients={"a": {"token_env": "T"}, "b": {"token_env": "T"}})
    assert text == (
        "clients.b.token_env: expected clients.b.token_env to name a variable of its own, "
        'got: "T", which clients.a has too'
    )


def test_one_name_for_two_schedules() -> None:
    """A schedule's name is what its moments are remembered by; two cannot share one."""
    twice = {"cron": "@daily", "role": "a", "name": "n"}
    assert found(schedule=[twice, twice]) == [
        "schedule: expected every [[schedule]] to have a name of its own, "
        'got: "n" 2 times; rename all but one'
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback(host: str) -> None:
    """The loopback addresses are those that only this machine reaches."""
    assert is_loopback(host)
