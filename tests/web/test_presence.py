"""Whether somebody sits at a terminal."""

from __future__ import annotations

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from supervisor.clock import LoopClock
from supervisor.config.settings import Settings
from supervisor.messages import Priority
from supervisor.web.presence import KEPT, Presence
from tests.web.house import beside

pytestmark = pytest.mark.anyio


async def test_somebody_is_there_until_he_was_not_seen_for_a_while(virtual: LoopClock) -> None:
    """One word keeps room for two minutes; each further one from then on."""
    changes: list[bool] = []
    presence = Presence(changes.append, clock=virtual)
    app = Starlette(routes=[Route("/api/chat", presence.seen, methods=["POST"])])
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here")
    async with client, beside(presence.run):
        assert "nobody" in repr(presence)
        await client.post("/api/chat")
        assert "somebody" in repr(presence)
        await anyio.sleep(KEPT - 10)
        await client.post("/api/chat")
        await anyio.sleep(KEPT - 10)
        assert changes == [True]
        await anyio.sleep(20)
        assert changes == [True, False]


@pytest.mark.parametrize(
    ("table", "taken", "present", "share"),
    [
        ({}, 0.0, True, 0.05),
        ({}, 0.0, False, 0.05),
        ({}, 0.98, True, pytest.approx(0.02)),
        ({}, 1.0, True, 0.0),
        ({"share": 0.2}, 0.0, False, 0.2),
        ({"priority": "high"}, 0.0, True, 0.05),
    ],
)
def test_people_go_first(
    table: dict[str, object], taken: float, *, present: bool, share: object
) -> None:
    """The class chat is urgent; its share yields to the others'; it is awaited when it is there."""
    settings = Settings.model_validate({"clients": {"chat": table}} if table else {})
    chat = settings.chat_class(taken=taken, present=present)
    assert chat.share == share
    assert chat.awaited == present
    assert chat.priority == (Priority.HIGH if "priority" in table else Priority.URGENT)
    assert chat.ceiling == ("100 requests / minute",)
