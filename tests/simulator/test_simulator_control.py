"""The control endpoints: report, reset, settings."""

from __future__ import annotations

import pytest

from supervisor.simulator.tally import Tally, caller_label
from tests.simulator.bench import KEY, OpenBench


async def test_the_report_says_who_asked_and_how_it_ended(simulated: OpenBench) -> None:
    """Windows, outcomes, bearers by label and the headers that are counted by; no key in it."""
    async with simulated(limits=["2 requests / minute"], count_headers=["X-Role"]) as bench:
        for role in ("ceo", "code", "code"):
            bench.http.headers["x-role"] = role
            await bench.chat()
        del bench.http.headers["authorization"]
        await bench.chat()
        response = await bench.http.get("/_simulator/report")
    report = response.json()
    assert KEY not in response.text
    assert (report["attempts"], report["refused"], report["over"]) == (4, 1, 2)
    assert report["worst"][0]["limit"] == "2 requests / minute"
    assert report["worst"][0]["worst"] == 4
    assert report["outcomes"] == {"200": 2, "401": 1, "429": 1}
    assert report["bearers"] == {
        caller_label(KEY): {"attempts": 3, "refused": 1},
        "none": {"attempts": 1, "refused": 0},
    }
    assert report["headers"]["X-Role"]["ceo"] == {"attempts": 1, "refused": 0}
    assert report["headers"]["X-Role"]["code"] == {"attempts": 3, "refused": 1}
    assert (report["in_flight"], report["most_in_flight"]) == (0, 1)


async def test_a_question_that_comes_again_is_counted(simulated: OpenBench) -> None:
    """It counts from its whole answer on, to the letter; one that was refused has no answer."""
    async with simulated(limits=["4 requests / minute"], count_repeats=True) as bench:
        for text in ("a", "b", "a", "a", "c", "c"):
            await bench.chat(text)
        assert bench.simulation.report()["asked_again"] == 2
        bench.simulation.reset()
        await bench.chat("a")
        assert bench.simulation.report()["asked_again"] == 0


async def test_a_reset_starts_over(simulated: OpenBench) -> None:
    """After it the limits have room, the script starts again and the judge has seen nothing."""
    script = [{"answer": "once", "times": 1}]
    async with simulated(limits=["1 requests / hour"], script=script) as bench:
        first = await bench.chat()
        refused = await bench.chat()
        report = (await bench.http.post("/_simulator/reset")).json()
        again = await bench.chat()
    assert (first.status_code, refused.status_code) == (200, 429)
    assert (report["attempts"], report["outcomes"]) == (0, {})
    assert again.json()["choices"] == first.json()["choices"]
    assert again.json()["id"] == first.json()["id"]


async def test_limits_can_change_while_it_runs(simulated: OpenBench) -> None:
    """New limits hold from the next request on; the judge keeps its count of attempts."""
    async with simulated(limits=["1 requests / hour"]) as bench:
        await bench.chat()
        shown = await bench.http.post(
            "/_simulator/settings", json={"limits": ["2 requests / hour"], "kind": "token_bucket"}
        )
        statuses = [(await bench.chat()).status_code for _ in range(3)]
        report = (await bench.http.get("/_simulator/report")).json()
    assert shown.json()["limits"] == ["2 requests / hour"]
    assert statuses == [200, 200, 429]
    assert report["attempts"] == 4
    assert report["worst"][0]["limit"] == "2 requests / hour"


async def test_other_settings_leave_the_counts_alone(simulated: OpenBench) -> None:
    """A change of faults empties no window and uses up no script."""
    script = [{"answer": "first", "times": 1}, {"answer": "second"}]
    async with simulated(limits=["2 requests / hour"], script=script) as bench:
        await bench.chat()
        await bench.http.post("/_simulator/settings", json={"faults": {"capacity": 0}})
        second, third = await bench.chat(), await bench.chat()
    assert second.json()["choices"][0]["message"]["content"] == "second"
    assert third.status_code == 429


async def test_a_script_can_be_given_while_it_runs(simulated: OpenBench) -> None:
    """New rules answer from the next request on."""
    async with simulated() as bench:
        await bench.http.post("/_simulator/settings", json={"script": [{"answer": "new"}]})
        body = (await bench.chat()).json()
        shown = (await bench.http.get("/_simulator/settings")).json()
        again = await bench.http.post("/_simulator/settings", json={"script": shown["script"]})
    assert body["choices"][0]["message"]["content"] == "new"
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"lag": 1}', "unknown setting lag"),
        (b'{"limits": ["100 rpm"]}', 'got: \\"100 rpm\\"'),
        (b'{"answers": "/nowhere/script.toml"}', "cannot read scripted answers"),
        (b"{", "Failed to parse"),
    ],
)
async def test_wrong_settings_change_nothing(
    simulated: OpenBench, body: bytes, expected: str
) -> None:
    """400 with the reason, and the simulator goes on as before."""
    async with simulated() as bench:
        before = bench.simulation.settings
        response = await bench.http.post("/_simulator/settings", content=body)
        assert bench.simulation.settings is before
    assert response.status_code == 400
    assert expected in response.text


async def test_settings_show_no_key(simulated: OpenBench) -> None:
    """The configured key is masked."""
    async with simulated(key=KEY) as bench:
        assert KEY not in (await bench.http.get("/_simulator/settings")).text


def test_callers_without_end_share_one_place() -> None:
    """A client that sends a new value each time does not fill the memory."""
    tally = Tally(most_callers=10)
    for number in range(110):
        tally.saw("", [("x-id", str(number))], refused=False)
    values = tally.as_json()["headers"]["x-id"]
    assert len(values) == 11
    assert values["(others)"]["attempts"] == 100


def test_a_label_does_not_show_the_key() -> None:
    """The same key has the same label, and the label holds nothing of it."""
    assert caller_label(KEY) == caller_label(KEY)
    assert "xai" not in caller_label(KEY)
