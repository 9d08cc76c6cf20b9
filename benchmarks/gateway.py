"""What the gateway costs, beside no gateway, the barest relay and LiteLLM's proxy, in one run.

    python -m benchmarks.gateway                      exit code 1 if a "must" does not hold
    python -m benchmarks.gateway --rounds 9 --without-litellm
    python -m benchmarks.gateway --ledger-cost --without-litellm

All stand in front of the same simulated API (no latency, no limits) and get the same load from the
same generator. A shared machine's speed changes from minute to minute, so they take turns, a few
seconds each, for several rounds; a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.launch import (
    KEY,
    UNBOUNDED,
    Running,
    busy_seconds,
    free_port,
    simulator,
    started,
    supervisor,
    until_answered,
    warn_if_busy,
)
from benchmarks.litellm_proxy import VERSION, NotInstalled, install, litellm, new_master_key
from benchmarks.load import Plan, Sender, measure
from benchmarks.table import Row, at_least, at_most, middle, quantile, show

IN_FLIGHT = (1, 16, 64)
_STREAMED = 16
_WARM_UP = 0.5
_NONE, _RELAY, _OURS, _LITELLM = "no gateway", "bare relay", "ours", f"LiteLLM {VERSION}"
_FORGETFUL = "ours, ledger in memory"
_LEDGER = 0.85
"""Part of the requests a second without a ledger on disk that one on disk must leave."""
_CONFIG = f"""{UNBOUNDED}
[clients.bench]
ceiling = []
"""


@dataclass(frozen=True, slots=True)
class Target:
    """Something that answers chat completions.

    Attributes:
        name: What it is.
        url: Its base URL.
        bearer: What it takes as bearer token.
        pid: Its process.
    """

    name: str
    url: str
    bearer: str
    pid: int


@dataclass(frozen=True, slots=True)
class Speed:
    """How one target did in one turn.

    Attributes:
        rate: Answers a second.
        p50: Median latency, in milliseconds.
        p99: Its 99th percentile.
        busy: Its processor time for an answer, in milliseconds; NaN where that is not known.
        failed: Requests that ended otherwise than with 200.
    """

    rate: float
    p50: float
    p99: float
    busy: float
    failed: int


Turns = dict[tuple[str, int], list[Speed]]
"""What was measured, by target and requests in flight; one entry for each round."""


def start(stack: ExitStack, folder: Path, *, peer: bool, forgetful: bool) -> list[Target]:
    """Start everybody.

    Args:
        stack: Ends them.
        folder: Where they run.
        peer: Whether LiteLLM is to be among them.
        forgetful: Whether ours with its ledger in memory is to be.
    """
    api: Running = stack.enter_context(simulator(folder))
    house = stack.enter_context(supervisor(folder, _CONFIG.format(upstream=api.url)))
    command = [sys.executable, "-m", "benchmarks.relay", api.url]
    relay = stack.enter_context(started("relay", command, ready=r"^ready: (\S+)", folder=folder))
    targets = [
        Target(_NONE, api.url, KEY, api.pid),
        Target(_RELAY, relay.url, KEY, relay.pid),
        Target(_OURS, house.url, "bench", house.pid),
    ]
    if forgetful:
        (folder / "forgetful").mkdir()
        config = _CONFIG.format(upstream=api.url)
        other = stack.enter_context(
            supervisor(folder / "forgetful", config, module="benchmarks.forgetful")
        )
        targets.append(Target(_FORGETFUL, other.url, "bench", other.pid))
    if peer:
        key = new_master_key()
        proxy = stack.enter_context(litellm(folder, api.url, port=free_port(), master_key=key))
        until_answered(f"{proxy.url}/health/liveliness")
        targets.append(Target(_LITELLM, proxy.url, key, proxy.pid))
    return targets


def turn(target: Target, in_flight: int, *, seconds: float, stream: bool = False) -> Speed:
    """Measure one target once."""
    sender = Sender("load", target.url, target.bearer, in_flight=in_flight, stream=stream)
    before = busy_seconds(target.pid)
    result = measure(Plan([sender], seconds, _WARM_UP))["load"]
    busy = busy_seconds(target.pid) - before
    # Answers of the warm-up are not counted; they came at the same rate.
    answers = max(1.0, result.answered * (seconds + _WARM_UP) / seconds)
    return Speed(
        rate=result.answered / seconds,
        p50=quantile(result.latencies, 0.5) * 1000,
        p99=quantile(result.latencies, 0.99) * 1000,
        busy=busy / answers * 1000,
        failed=sum(result.statuses.values()) - result.answered,
    )


def take_turns(targets: list[Target], *, rounds: int, seconds: float) -> Turns:
    """Measure all, again and again, each round in the other direction than the last."""
    turns: Turns = {(one.name, many): [] for one in targets for many in IN_FLIGHT}
    for target in targets:
        # Lazy imports, connection pools: nobody's first requests count.
        turn(target, _STREAMED, seconds=seconds)
    for number in range(rounds):
        order = targets if number % 2 == 0 else targets[::-1]
        for in_flight in IN_FLIGHT:
            for target in order:
                speed = turn(target, in_flight, seconds=seconds)
                turns[target.name, in_flight].append(speed)
        print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    return turns


def rows(turns: Turns) -> Iterator[Row]:
    """The table of what was measured."""
    for (name, in_flight), speeds in sorted(turns.items(), key=lambda item: item[0][1]):
        rate, p50, p99 = (
            middle(getattr(speed, what) for speed in speeds) for what in ("rate", "p50", "p99")
        )
        failed = sum(speed.failed for speed in speeds)
        label = f"{in_flight:>2} in flight, {name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms"
        yield Row(f"{label}{f', {failed} FAILED' if failed else ''}", f"{rate:.0f} /s")
    for name in dict.fromkeys(name for name, _ in turns):
        busy = middle(speed.busy for many in IN_FLIGHT for speed in turns[name, many])
        yield Row(f"processor time for an answer, {name}", f"{busy:.2f} ms")
    for in_flight in IN_FLIGHT:
        ratio = _ratio(turns, _RELAY, in_flight=in_flight)
        yield at_least(
            f"{in_flight:>2} in flight: ours / bare relay, requests a second", ratio, 0.6
        )
        if (_FORGETFUL, in_flight) in turns:
            ratio = _ratio(turns, _FORGETFUL, in_flight=in_flight)
            name = f"{in_flight:>2} in flight: ours / {_FORGETFUL}, requests a second"
            yield at_least(name, ratio, _LEDGER)
        if (_LITELLM, in_flight) in turns:
            ratio = _ratio(turns, _LITELLM, in_flight=in_flight)
            name = f"{in_flight:>2} in flight: ours / LiteLLM, requests a second"
            yield at_least(name, ratio, 6, digits=1)
    yield at_most("p50 latency added at 1 in flight: ours / bare relay", _added_ratio(turns), 1.6)


def _ratio(turns: Mapping[tuple[str, int], list[Speed]], other: str, *, in_flight: int) -> float:
    pairs = zip(turns[_OURS, in_flight], turns[other, in_flight], strict=True)
    return middle(mine.rate / theirs.rate for mine, theirs in pairs if theirs.rate)


def _added_ratio(turns: Mapping[tuple[str, int], list[Speed]]) -> float:
    rounds = zip(turns[_OURS, 1], turns[_RELAY, 1], turns[_NONE, 1], strict=True)
    return middle((mine.p50 - none.p50) / (bare.p50 - none.p50) for mine, bare, none in rounds)


def streamed_rows(targets: list[Target], *, rounds: int, seconds: float) -> Iterator[Row]:
    """Streamed answers, told as information."""
    speeds: dict[str, list[Speed]] = {one.name: [] for one in targets}
    for _ in range(rounds):
        for target in targets:
            speeds[target.name].append(turn(target, _STREAMED, seconds=seconds, stream=True))
    for name, turns in speeds.items():
        p50, rate = middle(one.p50 for one in turns), middle(one.rate for one in turns)
        failed = sum(one.failed for one in turns)
        label = f"{_STREAMED} streams in flight, {name}: p50 {p50:.2f} ms"
        yield Row(f"{label}{f', {failed} FAILED' if failed else ''}", f"{rate:.0f} /s")


def main() -> int:
    """Print the table.

    Returns:
        1 if a "must" does not hold.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one turn")
    parser.add_argument("--without-litellm", action="store_true")
    parser.add_argument("--ledger-cost", action="store_true", help="beside one in memory")
    arguments = parser.parse_args()
    warn_if_busy()
    rounds, seconds = arguments.rounds, arguments.seconds
    peer = not arguments.without_litellm and _can_install()
    with TemporaryDirectory(prefix="gateway-") as folder, ExitStack() as stack:
        targets = start(stack, Path(folder), peer=peer, forgetful=arguments.ledger_cost)
        turns = take_turns(targets, rounds=rounds, seconds=seconds)
        title = f"median of {rounds} rounds of {seconds:g} s"
        failed = show(rows(turns), title=title)
        streamed = streamed_rows(targets, rounds=max(1, rounds // 2), seconds=seconds)
        show(streamed, title="streamed, as information")
    if not peer:
        print("LiteLLM was not measured, see above; its ratios are not in the table")
    return 1 if failed else 0


def _can_install() -> bool:
    try:
        install()
    except NotInstalled as error:
        print(f"LiteLLM is skipped, pip could not install it: {error}")
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
