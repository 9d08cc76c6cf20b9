"""The index over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.house import open_house


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one file."""
    (tmp_path / "notes.md").write_text("# Quota\n\nA window lasts a minute.\n")
    return tmp_path


async def test_a_folder_is_indexed_and_searched(folder: Path) -> None:
    """What is posted is found, and listed with its counts."""
    async with open_house() as house:
        done = await house.client.post("/api/memory", json={"folder": str(folder)})
        assert (done.status_code, done.json()["files"]) == (200, 1)
        answer = await house.client.get("/api/search", params={"q": "windows", "limit": "3"})
        (hit,) = answer.json()["hits"]
        assert (hit["path"], hit["start"], hit["name"]) == ("notes.md", 1, "Quota")
        (source,) = (await house.client.get("/api/memory")).json()["sources"]
        assert source["path"] == str(folder)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/api/search", None, 400, "expected q=WORDS"),
        ("GET", "/api/search?q=a&limit=0", None, 400, "expected limit to be 1 to 100"),
        ("GET", "/api/search?q=a&limit=many", None, 400, 'got: "many"'),
        ("POST", "/api/memory", {"folder": 5}, 400, 'expected {"folder": "PATH"}'),
        ("POST", "/api/memory", {"folder": "/nothing/here"}, 409, "expected a folder to index"),
    ],
)
async def test_what_is_wrong_is_said(
    method: str, path: str, body: object, status: int, text: str
) -> None:
    """Each wrong request is told what was expected."""
    async with open_house() as house:
        answer = await house.client.request(method, path, json=body)
    assert answer.status_code == status
    assert text in answer.json()["error"]["message"]
