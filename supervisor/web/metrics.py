"""The snapshots in Prometheus' text format. Pure, and small enough to need no library.

Labels name roles, clients, windows, budgets and outcomes, all of them few; never ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from supervisor.broker.snapshot import BrokerSnapshot, ClassSnapshot
from supervisor.budget import TICKS_PER_DOLLAR
from supervisor.jobs.job import JobsSnapshot
from supervisor.quota.budgets import BudgetSnapshot
from supervisor.quota.snapshot import WindowSnapshot
from supervisor.team.snapshot import TeamSnapshot


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric with all its samples.

    Attributes:
        name: Without the prefix `supervisor_`.
        kind: `counter` or `gauge`.
        help: What it tells, in one line.
        samples: Its values.
    """

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]

    def lines(self) -> Iterator[str]:
        """The metric as text."""
        name = f"supervisor_{self.name}"
        yield f"# HELP {name} {_escape(self.help, quotes=False)}"
        yield f"# TYPE {name} {self.kind}"
        for sample in self.samples:
            labels = ",".join(f'{key}="{_escape(text)}"' for key, text in sample.labels.items())
            # All digits: a counter that is shown rounded does not grow by what it counts.
            value = repr(+sample.value)
            yield f"{name}{{{labels}}} {value}" if labels else f"{name} {value}"


def exposition(  # noqa: PLR0913 - everything there is to show
    broker: BrokerSnapshot,
    team: TeamSnapshot,
    jobs: JobsSnapshot,
    *,
    version: str,
    uptime: float,
    tasks: int,
    wall: float,
) -> str:
    """The text that `/metrics` gives.

    Args:
        broker: The broker as it is now.
        team: The roles as they are now.
        jobs: How many jobs stand how.
        version: The version that runs.
        uptime: Seconds since the start.
        tasks: Tasks of the event loop.
        wall: Unix time now.
    """
    metrics = [
        _gauge("info", "The version that runs.", [Sample(1, {"version": version})]),
        _gauge("uptime_seconds", "Seconds since the start.", [Sample(uptime)]),
        _gauge("tasks", "Tasks of the event loop; as many as before once idle.", [Sample(tasks)]),
        _gauge(
            "open",
            "1 while requests are sent, 0 while paused, halted or draining.",
            [Sample(broker.state == "open")],
        ),
        *_traffic(broker.classes),
        *_quota(broker.quota.windows),
        *_budgets(broker.budgets, wall),
        *_team(team),
        _jobs(jobs),
        _gauge(
            "jobs_up",
            "1 while jobs are started, 0 while their store has failed.",
            [Sample(not jobs.trouble)],
        ),
    ]
    return "\n".join(line for metric in metrics for line in metric.lines()) + "\n"


def _traffic(classes: Iterable[ClassSnapshot]) -> Iterator[Metric]:
    ones = tuple(classes)
    yield _counter(
        "requests_total",
        "Requests that have ended since the start, by role or client and outcome.",
        [
            Sample(count, {"role": one.name, "outcome": outcome})
            for one in ones
            for outcome, count in (
                ("answered", one.since_start.answered),
                ("failed", one.since_start.failed),
            )
        ],
    )
    yield _counter("attempts_total", "HTTP requests sent, of all time.", _each(ones, "attempts"))
    yield _counter("answered_total", "Those answered, of all time.", _each(ones, "answered"))
    yield _counter(
        "refused_total", "Attempts refused for quota, of all time.", _each(ones, "refused")
    )
    yield _gauge("queue_length", "Requests that wait.", _each(ones, "queued"))
    yield _gauge("in_flight", "Attempts under way.", _each(ones, "in_flight"))
    yield _gauge(
        "wait_seconds",
        "Wait in the queue over the last 1000 grants, by quantile.",
        [
            Sample(wait, {"role": one.name, "quantile": quantile})
            for one in ones
            for quantile, wait in (("0.5", one.wait_p50), ("0.99", one.wait_p99))
        ],
    )
    yield _counter(
        "tokens_total",
        "Tokens used, of all time; reasoning counts as completion.",
        [
            Sample(count, {"role": one.name, "type": kind})
            for one in ones
            for kind, count in (
                ("prompt", one.prompt_tokens),
                ("completion", one.completion_tokens),
            )
        ],
    )
    yield _counter(
        "cost_usd_total", "US dollars, of all time, where known.", _each(ones, "cost_usd")
    )


def _quota(windows: Iterable[WindowSnapshot]) -> Iterator[Metric]:
    ones = tuple(windows)
    yield _gauge(
        "quota_used",
        "Units spent or reserved in a window.",
        [Sample(one.used, {"window": one.limit}) for one in ones],
    )
    yield _gauge(
        "quota_limit",
        "Units a window holds.",
        [Sample(one.amount, {"window": one.limit}) for one in ones],
    )


def _budgets(budgets: Sequence[BudgetSnapshot], wall: float) -> Iterator[Metric]:
    def each(values: Iterable[float]) -> list[Sample]:
        return [
            Sample(value, {"role": one.of, "budget": one.budget})
            for one, value in zip(budgets, values, strict=True)
        ]

    for name, text in (
        ("amount", "US dollars that a budget holds."),
        ("spent", "US dollars spent of a budget in its period."),
        ("reserved", "US dollars of a budget that requests under way may still cost."),
        ("unpriced", "US dollars of a budget that count as spent, the price being unknown."),
    ):
        sums = (getattr(one, name) / TICKS_PER_DOLLAR for one in budgets)
        yield _gauge(f"budget_{'limit' if name == 'amount' else name}_usd", text, each(sums))
    yield _gauge(
        "budget_reset_seconds",
        "Seconds until a budget's period ends and the next begins.",
        each(max(0.0, one.ends - wall) for one in budgets),
    )


def _team(team: TeamSnapshot) -> Iterator[Metric]:
    yield _gauge(
        "role_up",
        "1 while a role runs.",
        [Sample(role.state == "running", {"role": role.name}) for role in team.roles],
    )
    yield _counter(
        "restarts_total",
        "Restarts of a role.",
        [Sample(role.restarts, {"role": role.name}) for role in team.roles],
    )
    yield _gauge("broken_plugins", "Files that are no usable role.", [Sample(len(team.broken))])


def _jobs(jobs: JobsSnapshot) -> Metric:
    return _gauge(
        "jobs",
        "Jobs by role and status; ended ones since the start.",
        [
            Sample(count, {"role": role, "status": status})
            for role, one in jobs.roles.items()
            for status, count in (
                ("queued", one.queued),
                ("running", one.running),
                ("done", one.done),
                ("failed", one.failed),
                ("cancelled", one.cancelled),
            )
        ],
    )


def _each(ones: Iterable[ClassSnapshot], name: str) -> list[Sample]:
    return [Sample(getattr(one, name), {"role": one.name}) for one in ones]


def _gauge(name: str, text: str, samples: Iterable[Sample]) -> Metric:
    return Metric(name, "gauge", text, tuple(samples))


def _counter(name: str, text: str, samples: Iterable[Sample]) -> Metric:
    return Metric(name, "counter", text, tuple(samples))


def _escape(text: str, *, quotes: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text
