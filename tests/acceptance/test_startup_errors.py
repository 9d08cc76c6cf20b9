"""A wrong start ends with code 2 and says what is wrong, without a part of the key."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.acceptance.processes import ran

pytestmark = pytest.mark.slow

SECRET = "xai-planted-0123456789abcdef"


@dataclass(frozen=True)
class Wrong:
    """A wrong start and what has to be said about it."""

    says: str
    toml: str = ""
    environment: dict[str, str] = field(default_factory=dict[str, str])
    arguments: tuple[str, ...] = ()


CASES = {
    "toml": Wrong("line 2", toml="model = 'x'\n[quota\n"),
    "unknown key": Wrong('did you mean "limits"', toml="[quota]\nlimit = ['1 requests / hour']\n"),
    "limit": Wrong('quota.limits[0] to be "N requests / PERIOD"', toml="quota.limits=['100 rpm']"),
    "shares": Wrong("share", toml="[clients.a]\nshare = 0.7\n[clients.b]\nshare = 0.7\n"),
    "contradiction": Wrong(
        "never be reached", toml="quota.limits=['100 requests / minute', '50 requests / hour']"
    ),
    "open door": Wrong("SUPERVISOR_TOKEN", toml="[web]\nhost = '0.0.0.0'\n"),
    "two keys": Wrong("GROK_API_KEY", environment={"GROK_API_KEY": "xai-another-0123456789"}),
    "groq key": Wrong("Groq", environment={"XAI_API_KEY": "gsk_planted0123456789abcdef"}),
    "no key": Wrong("no API key", environment={"XAI_API_KEY": ""}),
    "no roles": Wrong("roles.directory", toml="[roles]\ndirectory = 'nowhere'\n"),
    "unknown option": Wrong("--nonsense", arguments=("--nonsense",)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_wrong_start_says_what_is_wrong(case: Wrong, tmp_path: Path) -> None:
    """The error names the setting; nothing starts, and no key is shown."""
    (tmp_path / "config.toml").write_text(case.toml)
    ended = ran("run", *case.arguments, folder=tmp_path, key=SECRET, **case.environment)
    text = ended.stderr + ended.stdout
    assert ended.returncode == 2, text
    assert case.says in text
    assert "Traceback" not in text
    for secret in (SECRET, *case.environment.values()):
        assert not secret or secret not in text
