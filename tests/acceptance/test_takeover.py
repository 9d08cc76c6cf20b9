"""Who may send: two processes without a common store, and a lock that is lost in mid-life."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.processes import KEY, Process, simulator, started, supervisor
from tests.acceptance.test_owner import status
from tests.ledger.test_owner import HELD, NUMBER, TERMINATE
from tests.postgresql import database
from tests.waiting import seen

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

BODY = {"model": "grok-4.7", "messages": [{"role": "user", "content": "hello"}]}
IDLE = ["run", "--simulate", "--set", "web.port=0"]


def test_a_new_process_holds_idle(tmp_path: Path) -> None:
    """For `quota.takeover` it is alive, not ready, and says why; then it is the owner by itself."""
    (tmp_path / "roles").mkdir()
    began = time.perf_counter()
    arguments = [*IDLE, "--set", "quota.takeover=3s"]
    with started(arguments, tmp_path, name="new", ready="web.started") as process:
        code, answer = status(process, "/readyz")
        assert (code, answer["status"]) == (503, "unavailable")
        assert "another process may still use the key" in str(answer["reason"])
        assert "quota.takeover" in str(answer["reason"])
        assert status(process, "/livez")[0] == 200
        process.wait_for("ready:")
        assert time.perf_counter() - began > 3
        assert process.stop() == 0


def test_who_holds_idle_can_be_stopped(tmp_path: Path) -> None:
    """SIGTERM ends a process that holds idle, at once and with 0."""
    (tmp_path / "roles").mkdir()
    arguments = [*IDLE, "--set", "quota.takeover=1h"]
    with started(arguments, tmp_path, name="new", ready="web.started") as process:
        assert process.stop() == 0


def test_a_lost_lock_is_had_back(tmp_path: Path, postgresql: str) -> None:
    """Sending stops; when the lock is taken again, what another has sent meanwhile counts too."""
    (tmp_path / "roles").mkdir()
    with database(postgresql) as url, simulator(tmp_path) as api:
        store = (f"store.url={url}", f"upstream.base_url={api.base}/v1")
        limits = 'quota.limits=["100 requests / hour"]', "budget.total=5 usd / month"
        with supervisor(tmp_path, *store, *limits) as house:
            house.post("/v1/chat/completions", BODY)
            before = spent(house)
            send_elsewhere(url, attempts=3)
            terminate(url)
            assert "server closed the connection" in house.wait_for("app.owner_lost")
            house.wait_for("app.owner_regained")
            assert [round(now - was, 9) for now, was in zip(spent(house), before, strict=True)] == [
                *(3, 3, 0.5, 0.25)
            ]
            house.post("/v1/chat/completions", BODY)
            assert spent(house)[0] == before[0] + 4
            assert status(house, "/readyz")[0] == 200
            assert house.stop() == 0


def spent(house: Process) -> list[float]:
    """Used of the window, attempts of the class, spent of the budget and reserved for good."""
    health = house.get("/health")
    (window,), (budget,) = health["windows"], health["budgets"]
    attempts = health["clients"]["gateway"]["attempts"]
    return [window["used"], attempts, budget["spent_usd"], budget["unpriced_usd"]]


def send_elsewhere(url: str, *, attempts: int) -> None:
    """Another owner sends, pays half a dollar, and is killed while a quarter more is reserved."""
    with psycopg.connect(url, autocommit=True) as other:
        for number in range(attempts):
            other.execute(
                "INSERT INTO supervisor_attempts"
                " (seq, id, class, model, job, granted, wait, tokens)"
                " SELECT max(seq) + 1, %s, 'gateway', 'grok-4.7', '', extract(epoch FROM now()),"
                " 0, 10 FROM supervisor_attempts",
                (f"elsewhere/{number}",),
            )
        other.execute(
            "UPDATE supervisor_hours SET attempts = attempts + %s, ticks = ticks + 5000000000,"
            " reserved = reserved + 2500000000",
            (attempts,),
        )


def test_a_lock_that_another_takes_ends_the_process(tmp_path: Path, postgresql: str) -> None:
    """Whoever lost its lock to another process sends nothing more and ends with the reason."""
    (tmp_path / "roles").mkdir()
    with (
        database(postgresql) as url,
        simulator(tmp_path) as api,
        closing(psycopg.connect(url, autocommit=True)) as other,
    ):
        store = (f"store.url={url}", f"upstream.base_url={api.base}/v1")
        with supervisor(tmp_path, *store) as house:
            hand_over(url, other)
            assert house.popen.wait(20) == 1
            log = house.log.read_text()
        assert "another process owns the key now" in log
        assert "Traceback" not in log
        assert KEY not in log


def hand_over(url: str, other: psycopg.Connection) -> None:
    """End the session that has the lock while another one waits for it, which gets it."""
    other.pgconn.send_query(f"SELECT pg_advisory_lock({NUMBER})".encode())
    with psycopg.connect(url, autocommit=True) as operator:
        waits = f"SELECT count(*) {HELD} AND NOT granted".encode()
        seen(lambda: operator.execute(waits).fetchone() == (1,), "the other waiting for the lock")
        operator.execute(f"{TERMINATE} AND granted".encode())


def terminate(url: str) -> None:
    """End the session that has the lock."""
    with psycopg.connect(url, autocommit=True) as operator:
        operator.execute(TERMINATE.encode())
