"""Specs are checked when they are made, with the value and what was expected."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from anyio.abc import TaskStatus

from supervisor.errors import ConfigError
from supervisor.supervision.spec import (
    Backoff,
    ChildSpec,
    Policy,
    RestartBudget,
    require_unique,
)


async def start(*, task_status: TaskStatus[None]) -> None:
    """A child that is done at once."""
    task_status.started()


ANY: Any = "never"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: RestartBudget(max_restarts=-1), "expected max_restarts to be 0 or more, got: -1"),
        (lambda: RestartBudget(period=0), "expected period to be more than 0 seconds, got: 0"),
        (lambda: RestartBudget(period=math.nan), "got: nan"),
        (lambda: Backoff(initial=-0.5), "expected initial to be 0 seconds or more, got: -0.5"),
        (lambda: Backoff(factor=0.5), "expected factor to be 1 or more, got: 0.5"),
        (lambda: Backoff(initial=2, maximum=1), r"at least initial \(2\), got: 1"),
        (lambda: Backoff(maximum=math.inf), "got: inf"),
        (lambda: Backoff(jitter=1.5), "expected jitter to be from 0 to 1, got: 1.5"),
        (lambda: Policy(strategy=ANY), 'one of one_for_one, rest_for_one, got: "never"'),
        (lambda: Policy(on_exhausted=ANY), 'one of fail_child, escalate, got: "never"'),
        (
            lambda: Policy(strategy="rest_for_one", on_exhausted="fail_child"),
            "those after a failed child depend on it",
        ),
        (lambda: ChildSpec("", start), 'expected the name of a child, got: ""'),
        (lambda: ChildSpec("a", ANY), 'start of child "a" to be an async function, got: never'),
        (lambda: ChildSpec("a", start, restart=ANY), 'restart of child "a" to be one of permanent'),
        (lambda: ChildSpec("a", start, shutdown=-1), 'shutdown of child "a" to be 0 seconds'),
        (lambda: ChildSpec("a", start, start_timeout=0), 'start_timeout of child "a" to be more'),
    ],
)
def test_impossible_values_are_refused(make: Callable[[], object], text: str) -> None:
    """A value that makes no sense is refused with the value and what was expected."""
    with pytest.raises(ConfigError, match=text):
        make()


def test_names_are_unique() -> None:
    """Two children of one name are refused, and the name is told."""
    with pytest.raises(ConfigError, match="got twice: a"):
        require_unique([ChildSpec("a", start), ChildSpec("b", start), ChildSpec("a", start)])
