"""The dashboard's files: open, without data, cached by content, and nothing else than these."""

from __future__ import annotations

import re

import pytest

from supervisor.web.static import CONTENT_SECURITY_POLICY, STATIC_PATHS
from tests.web.house import open_house, settings_of

FILES = sorted(STATIC_PATHS)


@pytest.mark.parametrize("path", FILES)
async def test_files_are_served_strictly(path: str) -> None:
    """Each file comes with its type, the policy, and a tag that saves sending it again."""
    async with open_house() as house:
        answer = await house.client.get(path)
        again = await house.client.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["../page.py", "%2e%2e/page.py", "nothing.js", "VENDORED.md"])
async def test_nothing_else_is_served(name: str) -> None:
    """No path leads to a file that is not on the list."""
    async with open_house() as house:
        assert (await house.client.get(f"/dashboard/{name}")).status_code == 404


async def test_the_page_keeps_to_its_policy() -> None:
    """The page has no inline script, style or handler, and names no other host."""
    async with open_house() as house:
        text = (await house.client.get("/")).text
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|javascript:", text)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)


async def test_everything_the_page_loads_is_there() -> None:
    """Each file that the page or a script of it names is on the list."""
    async with open_house() as house:
        texts = {path: (await house.client.get(path)).text for path in FILES}
    named = set(re.findall(r'"(/dashboard/[^"]+)"', texts["/"]))
    for path, text in texts.items():
        if path.endswith(".js"):
            named |= {f"/dashboard/{name}" for name in re.findall(r'from "\./([^"]+)"', text)}
    assert named
    assert named <= set(FILES)


async def test_with_a_token_only_the_files_are_open() -> None:
    """A browser can open the page without the token, and sees nothing with it."""
    settings = settings_of({"web": {"token": "house-token"}})
    async with open_house(settings=settings) as house:
        assert (await house.client.get("/")).status_code == 200
        assert (await house.client.get("/dashboard/app.js")).status_code == 200
        assert (await house.client.get("/api/events")).status_code == 401
