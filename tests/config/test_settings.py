"""What the settings say about themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from supervisor.config.secrets import Secrets
from supervisor.config.settings import Settings
from supervisor.errors import ConfigError
from supervisor.limits import Limit
from supervisor.messages import TrafficClass

KEY = "xai-test-not-a-real-key"


def settings(secrets: Secrets | None = None, **tree: Any) -> Settings:
    """Settings from a tree as the sources give it."""
    return Settings.model_validate(tree, context=secrets)


def test_frozen() -> None:
    """Nobody changes a setting after the start."""
    with pytest.raises(ValidationError):
        settings().web.port = 1


def test_key_is_required_only_where_it_is_needed() -> None:
    """Without a key there are settings, but no key."""
    assert not settings().has_key
    with pytest.raises(ConfigError, match="GROK_API_KEY or XAI_API_KEY"):
        settings().require_key()


def test_key_is_in_no_representation() -> None:
    """Settings can be logged: no secret is part of what they show."""
    held = settings(
        Secrets(SecretStr(KEY), {"editor": SecretStr("editor-token")}),
        store={"url": "postgresql://me:hunter2@host/name"},
        web={"token": "operator-token"},
        simulator={"key": KEY},
    )
    assert held.require_key().get_secret_value() == KEY
    for text in (repr(held), str(held), held.model_dump_json()):
        for secret in (KEY, "editor-token", "hunter2", "operator-token"):
            assert secret not in text


def test_limits_in_force() -> None:
    """The burst goes to the request limits that state none; off means no limit at all."""
    limits = ["5 requests / 1s", "9 requests / minute burst 2", "7 tokens / minute"]
    assert settings(quota={"limits": limits, "burst": 6}).quota.in_force == (
        Limit(5, "requests", 1.0, 5),
        Limit(9, "requests", 60.0, 2),
        Limit(7, "tokens", 60.0),
    )
    assert settings(quota={"limits": limits}).quota.in_force[0] == Limit(5, "requests", 1.0)
    assert settings(quota={"enabled": False}).quota.in_force == ()


def test_class_of_a_role_without_a_table() -> None:
    """A role is as its class says where config.toml says nothing, under the usual ceiling."""
    defaults = TrafficClass("any", priority=7, share=0.2, concurrency=3, queue=5)
    assert settings().traffic_class("ceo", defaults=defaults) == TrafficClass(
        "ceo", 7, 0.2, ("100 requests / minute",), 3, 5
    )


def test_class_of_a_role_with_a_table() -> None:
    """What a table says goes before the role's class, zero and nothing included."""
    table: dict[str, Any] = {
        "priority": "low",
        "share": 0,
        "ceiling": [],
        "concurrency": 1,
        "queue": 2,
    }
    defaults = TrafficClass("ceo", 7, 0.2, ("5 requests / minute",), 3, 5)
    assert settings(roles={"ceo": table}).traffic_class("ceo", defaults=defaults) == TrafficClass(
        "ceo", 60, 0.0, (), 1, 2
    )


def test_without_limits_only_a_written_ceiling_holds() -> None:
    """Whoever turns limiting off is not held by the usual ceiling, of which he may not know."""
    off = settings(quota={"enabled": False}, roles={"ceo": {"ceiling": "5 requests / minute"}})
    assert off.traffic_class("code").ceiling == ()
    assert off.traffic_class("ceo").ceiling == ("5 requests / minute",)


def test_class_of_a_client() -> None:
    """Clients have tables of their own; a role's table of the same name is not theirs."""
    held = settings(clients={"editor": {"priority": 1}}, roles={"other": {"priority": 2}})
    assert held.traffic_class("editor", "client").priority == 1
    assert held.traffic_class("other", "client").priority == TrafficClass("other").priority


def test_client_tokens() -> None:
    """A client's token comes from the variable that its table names."""
    clients = {"editor": {"token_env": "EDITOR_TOKEN"}, "open": {}}
    held = settings(Secrets(clients={"editor": SecretStr("one")}), clients=clients)
    assert held.client_tokens()["editor"].get_secret_value() == "one"
    assert "open" not in held.client_tokens()


def test_missing_and_equal_client_tokens() -> None:
    """A token that is not set, or is somebody else's, would let the wrong one in."""
    clients = {name: {"token_env": name.upper()} for name in ("one", "two", "three")}
    same = SecretStr("same-token")
    held = settings(
        Secrets(clients={"one": same, "two": same}), clients=clients, web={"token": "operator"}
    )
    with pytest.raises(ConfigError) as caught:
        held.client_tokens()
    assert str(caught.value).splitlines() == [
        "expected clients.two.token_env to hold a token of its own, "
        "got: that of clients.one.token_env",
        "expected clients.three.token_env to name an environment variable that is set, "
        'got: "THREE"',
    ]


@pytest.mark.parametrize(
    ("url", "what", "simulated", "path"),
    [
        ("sqlite:///data/x.sqlite", "", False, "data/x.sqlite"),
        ("sqlite:////var/data/x.sqlite", "-owner", False, "/var/data/x-owner.sqlite"),
        ("sqlite:///data/x.sqlite", "-jobs", True, "data/x-simulated-jobs.sqlite"),
        ("postgresql://u@h/n", "-memory", False, "data/supervisor-memory.sqlite"),
    ],
)
def test_files_of_the_store(url: str, what: str, *, simulated: bool, path: str) -> None:
    """Each file of a store lies beside the ledger; what is simulated has files of its own."""
    store = settings(store={"url": url}).store
    assert store.file(what, simulated=simulated) == Path(path)
    assert store.in_files is url.startswith("sqlite")
