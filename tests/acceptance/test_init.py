"""A new project works at once: made, looked at, run, given a job, stopped; real processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from supervisor.project.project import make_project
from supervisor.project.shipped import shipped
from tests.acceptance.processes import ran, simulator, supervisor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

DIFF = """\
--- a/lock.py
+++ b/lock.py
@@ -1,2 +1,3 @@
 def release(lock):
+    lock.held = False
     return lock
"""


def command(folder: Path, *words: str, text: str = "") -> tuple[int, Any]:
    """Run a command in a folder; its exit code, and the document on its stdout."""
    done = ran(*words, folder=folder, text=text)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def checks(document: Any) -> dict[str, str]:
    """What `doctor` found, by what it looked at; all of it is well."""
    assert document["ok"], document
    return {check["name"]: check["detail"] for check in document["checks"]}


def everything_in(folder: Path) -> dict[str, int]:
    """All files below a folder, and when each was changed."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_new_project_works_at_once(tmp_path: Path) -> None:
    """`init`, `doctor`, `run --simulate`, a job, SIGTERM: each one succeeds."""
    code, made = command(tmp_path, "init", "team", "--json")
    team = tmp_path / "team"
    before = everything_in(team)
    assert (code, set(made["files"]) <= set(before)) == (0, True)
    code, found = command(team, "doctor", "--offline", "--json", "--set", "web.port=0")
    assert code == 0
    assert "supervisor.sqlite will be made" in checks(found)["store"]
    assert everything_in(team) == before
    with supervisor(team, simulate=True) as process:
        here = ("--set", f"web.port={process.base.rpartition(':')[2]}")
        code, review = command(team, "submit", "quality", "--json", *here, text=DIFF)
        assert (code, review["status"]) == (0, "done")
        assert process.stop() == 0


def test_doctor_beside_a_real_run(tmp_path: Path) -> None:
    """On a disk of its own, the store is read while it is used, and the key's owner is told."""
    make_project(tmp_path / "team", shipped("0"))
    team, disk = tmp_path / "team", tmp_path / "disk"
    store = f"store.url=sqlite:///{disk}/supervisor.sqlite"
    with simulator(tmp_path) as api:
        upstream = f"upstream.base_url={api.base}/v1"
        with supervisor(team, upstream, store) as process:
            port = f"web.port={process.base.rpartition(':')[2]}"
            settings = [word for each in (upstream, store, port) for word in ("--set", each)]
            code, found = command(team, "doctor", "--json", *settings)
            assert process.stop() == 0
    told = checks(found)
    assert code == 0
    assert told["store"].startswith(f"{disk}: supervisor.sqlite, supervisor-jobs.sqlite")
    assert f"it holds {disk}/supervisor-owner.sqlite" in told["owner"]
    assert f"answers at {process.base}" in told["port"]
    assert told["key accepted"].endswith("/models answers")
    assert not (team / "data").exists()
