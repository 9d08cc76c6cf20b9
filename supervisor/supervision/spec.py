"""What is to be kept alive, and how hard to try: data only, checked before anything starts.

The words are Erlang/OTP's, so that whoever knows supervision trees can read ours.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

from anyio.abc import TaskStatus

from supervisor.errors import ConfigError

RestartType = Literal["permanent", "transient", "temporary"]
"""permanent: always restarted; transient: only after a crash; temporary: never."""

Strategy = Literal["one_for_one", "rest_for_one"]
"""one_for_one: only the crashed child restarts; rest_for_one: those after it as well."""

OnExhausted = Literal["fail_child", "escalate"]
"""fail_child: the child stays down, shown, the others go on; escalate: the supervisor ends."""


class Start(Protocol):
    """How a child runs: an async function that says when it is ready and runs until it is done."""

    def __call__(self, *, task_status: TaskStatus[None]) -> Awaitable[None]:
        """Run the child.

        Args:
            task_status: Its `started()` is to be called once the child is ready.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartBudget:
    """How many restarts are too many: more than `max_restarts` within `period` seconds."""

    max_restarts: int = 5
    period: float = 60.0

    def __post_init__(self) -> None:
        if self.max_restarts < 0:
            raise ConfigError(f"expected max_restarts to be 0 or more, got: {self.max_restarts}")
        _require_positive("period", self.period)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait before a restart.

    Attributes:
        initial: Seconds before the first restart.
        factor: What each further restart within the budget's period multiplies it by.
        maximum: Most seconds.
        jitter: The part of the delay, 0 to 1, that chance may take away.
    """

    initial: float = 0.5
    factor: float = 2.0
    maximum: float = 30.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        _require_not_negative("initial", self.initial)
        if not 1 <= self.factor < math.inf:
            raise ConfigError(f"expected factor to be 1 or more, got: {self.factor}")
        if not self.initial <= self.maximum < math.inf:
            raise ConfigError(
                f"expected maximum to be at least initial ({self.initial}), got: {self.maximum}"
            )
        if not 0 <= self.jitter <= 1:
            raise ConfigError(f"expected jitter to be from 0 to 1, got: {self.jitter}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a supervisor treats its children.

    With `escalate` the budget is one for all children, as in OTP; with `fail_child` each child
    has its own, children do not wait for each other to start, and `rest_for_one` is refused:
    what depends on a child that stays down could not go on.
    """

    strategy: Strategy = "one_for_one"
    on_exhausted: OnExhausted = "escalate"
    budget: RestartBudget = field(default_factory=RestartBudget)
    backoff: Backoff = field(default_factory=Backoff)

    def __post_init__(self) -> None:
        _require_one_of("strategy", self.strategy, get_args(Strategy))
        _require_one_of("on_exhausted", self.on_exhausted, get_args(OnExhausted))
        if self.strategy == "rest_for_one" and self.on_exhausted == "fail_child":
            raise ConfigError(
                'expected on_exhausted "escalate" with strategy "rest_for_one", got: "fail_child"',
                hint="those after a failed child depend on it and cannot go on without it",
            )


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child.

    Attributes:
        name: Unique among its siblings.
        start: Runs it.
        restart: When it is to be restarted.
        shutdown: Seconds it may take to end once cancelled; then it is reported. `math.inf` for
            a supervisor, whose own children bound it.
        start_timeout: Seconds it may take to become ready; then that counts as a crash.
    """

    name: str
    start: Start
    restart: RestartType = "permanent"
    shutdown: float = 5.0
    start_timeout: float = math.inf

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError('expected the name of a child, got: ""')
        if not callable(self.start):
            raise ConfigError(
                f'expected start of child "{self.name}" to be an async function, got: {self.start}'
            )
        _require_one_of(f'restart of child "{self.name}"', self.restart, get_args(RestartType))
        _require_not_negative(f'shutdown of child "{self.name}"', self.shutdown)
        _require_positive(f'start_timeout of child "{self.name}"', self.start_timeout)


def require_unique(specs: Sequence[ChildSpec]) -> None:
    """Refuse two children of one name.

    Raises:
        ConfigError: A name stands twice.
    """
    twice = sorted(name for name, count in Counter(s.name for s in specs).items() if count > 1)
    if twice:
        raise ConfigError(f"expected each child's name once, got twice: {', '.join(twice)}")


def _require_one_of(what: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ConfigError(f'expected {what} to be one of {", ".join(allowed)}, got: "{value}"')


# Written as "not >=" so that NaN, which compares false with everything, is refused as well.
def _require_not_negative(what: str, value: float) -> None:
    if not value >= 0:
        raise ConfigError(f"expected {what} to be 0 seconds or more, got: {value}")


def _require_positive(what: str, value: float) -> None:
    if not value > 0:
        raise ConfigError(f"expected {what} to be more than 0 seconds, got: {value}")
