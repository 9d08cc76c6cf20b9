"""`keys`: what is said of the key, and what the exit code says of a reload."""

from __future__ import annotations

import json

import pytest

from supervisor.upstream.reload import Reload, Result
from tests.cli.commands import command
from tests.web.house import open_house, served

pytestmark = pytest.mark.anyio
Capture = pytest.CaptureFixture[str]


async def test_keys_are_shown(capsys: Capture) -> None:
    """Where the key comes from and since when; before a reload and after one."""
    async with open_house() as house, served(house) as port:
        before = await command(capsys, port, "keys")
        house.keys.next = Reload(Result.REFUSED, "", "the API refused it", "see key.file")
        await house.keys.reload("SIGHUP")
        after = await command(capsys, port, "keys", "show")
        document = await command(capsys, port, "keys", "--json")
    assert (before.code, after.code) == (0, 0)
    assert "key.file" in before.out
    assert "0123abcd" in before.out
    assert "last reload  none" in before.out
    assert "SIGHUP: refused: the API refused it" in after.out
    assert "→ see key.file" in after.out
    assert json.loads(document.out)["last"]["result"] == "refused"


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (Result.ROTATED, 0),
        (Result.UNCHANGED, 0),
        (Result.REFUSED, 1),
        (Result.UNREACHABLE, 1),
        (Result.MALFORMED, 1),
    ],
)
async def test_reload_tells_what_it_came_to(capsys: Capture, result: Result, code: int) -> None:
    """Whoever rotates by script reads the exit code: 1 says that the old key goes on."""
    async with open_house() as house, served(house) as port:
        house.keys.next = Reload(result, "", "in words", "what to do")
        told = await command(capsys, port, "keys", "reload")
        document = await command(capsys, port, "keys", "reload", "--json")
    assert (told.code, document.code) == (code, code)
    assert told.err == f"{result}: in words\n→ what to do\n"
    assert told.out == ""
    assert json.loads(document.out)["last"]["result"] == result


async def test_a_reload_without_a_hint(capsys: Capture) -> None:
    """Where nothing has to be done nothing more is said."""
    async with open_house() as house, served(house) as port:
        told = await command(capsys, port, "keys", "reload")
    assert told.err == "unchanged: the key is the one in use\n"
