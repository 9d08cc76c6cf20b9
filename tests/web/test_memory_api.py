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


async def test_a_folder_is_forgotten(folder: Path) -> None:
    """What is forgotten is neither listed nor found; what is not known is said, with a guess."""
    async with open_house() as house:
        await house.client.post("/api/memory", json={"folder": str(folder)})
        wrong = await house.client.post("/api/memory/forget", json={"folder": f"{folder}x"})
        done = await house.client.post("/api/memory/forget", json={"folder": str(folder)})
        again = await house.client.post("/api/memory/forget", json={"folder": str(folder)})
        left = (await house.client.get("/api/memory")).json()
        found = (await house.client.get("/api/search", params={"q": "windows"})).json()
    assert (wrong.status_code, wrong.json()["code"]) == (404, "unknown_source")
    assert f"did you mean {folder}?" in wrong.json()["error"]["message"]
    assert (done.status_code, done.json()) == (200, {"source": str(folder), "forgotten": True})
    assert again.status_code == 404
    assert (left, found) == ({"sources": []}, {"hits": []})


async def test_what_is_kept_indexed_is_not_forgotten(folder: Path) -> None:
    """A folder of memory.folders would come back by itself: it is refused, and where to mend it."""
    async with open_house(folders=[folder]) as house:
        await house.client.post("/api/memory", json={"folder": str(folder)})
        refused = await house.client.post("/api/memory/forget", json={"folder": str(folder)})
        (source,) = (await house.client.get("/api/memory")).json()["sources"]
    assert (refused.status_code, source["kept"]) == (400, True)
    assert "memory.folders" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/api/search", None, 400, "expected q=WORDS"),
        ("GET", "/api/search?q=a&limit=0", None, 400, "expected limit to be 1 to 100"),
        ("GET", "/api/search?q=a&limit=many", None, 400, 'got: "many"'),
        ("POST", "/api/memory", {"folder": 5}, 400, 'expected {"folder": "PATH"}'),
        ("POST", "/api/memory/forget", {}, 400, 'expected {"folder": "PATH"}'),
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
