"""Faults of the API, in real processes: each call ends, nothing leaks, and it mends by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.faulty import Bench, bench, check_ends, check_log, check_well

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

LIMIT = "300 requests / 10s"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One API and one house for all tests here."""
    folder = tmp_path_factory.mktemp("faults")
    limits = f'quota.limits=["{LIMIT}"]'
    with bench(folder, limits, limits=[LIMIT], output_tokens=8) as made:
        made.ask_all()
        yield made
        assert made.house.stop() == 0
        check_log(made.house)


FAULTS: dict[str, dict[str, Any]] = {
    "5xx storm": {"server_error": 0.5, "html_error": 0.5},
    "no capacity": {"capacity": 1.0},
    "no connection lasts": {"cut": 0.5, "silent": 0.5},
    "no answer is one": {
        "empty": 0.25,
        "html_answer": 0.25,
        "malformed": 0.25,
        "wrong_length": 0.25,
    },
}
"""Nobody gets an answer while these last."""
STREAMS = {"cut_stream": 0.25, "stall_stream": 0.25, "endless_stream": 0.25, "stream_error": 0.25}


@pytest.mark.parametrize("name", FAULTS)
def test_nobody_is_answered(one: Bench, name: str) -> None:
    """Every call ends with a typed error; when the fault ends the next ones are answered."""
    with one.fault(**FAULTS[name]):
        calls = one.ask_all()
        report = one.report
    assert check_ends(calls) == {"upstream_unavailable": len(calls)}
    assert (report["over"], report["refused"]) == (0, 0)
    check_met(report["outcomes"], FAULTS[name])
    check_well(one)


def check_met(outcomes: dict[str, int], faults: dict[str, float]) -> None:
    """It was these faults that the calls met; errors go by their status."""
    named = set(outcomes) - {"hung_up"}
    if set(faults) <= {"server_error", "html_error", "capacity"}:
        assert named
        assert all(int(status) >= 429 for status in named)
    else:
        assert named <= set(faults)
        assert len(outcomes) > 1


def test_streams_break_off(one: Bench) -> None:
    """Cut, stalled, endless and failing streams end with an error and a dropped connection."""
    with one.fault(**STREAMS):
        calls = one.ask_all(6, streams=[True])
        outcomes = one.report["outcomes"]
    ends = check_ends(calls)
    # Some break off before their first event, are asked again, and get through.
    assert ends["upstream_unavailable"] > len(calls) / 2
    assert ends.total() == ends["upstream_unavailable"] + ends[""]
    assert {"cut_stream", "stream_error", "hung_up"} <= set(outcomes)
    check_well(one)


def test_a_storm_of_everything(one: Bench) -> None:
    """Whatever goes wrong, and all at once: answers and typed errors, and no limit exceeded."""
    everything = [*(fault for faults in FAULTS.values() for fault in faults), *STREAMS]
    with one.fault(**dict.fromkeys(everything, 0.5 / len(everything))):
        calls = one.ask_all(8)
        report = one.report
    assert check_ends(calls)[""] > len(calls) / 4
    assert (report["over"], report["refused"]) == (0, 0)
    check_well(one)


def test_nothing_leaks(one: Bench) -> None:
    """After rounds of faults there are no more open files than before, and hardly more memory."""
    # Connections are kept for the next calls, as many as were under way at once.
    one.set(latency="200ms")
    check_ends(one.ask_all(4))
    one.set(latency=0)
    files, memory = one.weigh()
    for faults in (FAULTS["no connection lasts"], STREAMS):
        with one.fault(**faults):
            one.ask_all(4)
    check_well(one)
    after, more = one.weigh()
    assert after <= files + 6
    assert more < memory + 16 * 2**20
    assert one.report["in_flight"] == 0
