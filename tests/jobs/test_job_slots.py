"""Slots: never more than the limit starts, and begun work goes before new work."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from supervisor.jobs.slots import Slots

ROLES = ("a", "b")


class Model(RuleBasedStateMachine):
    """Random starts, ends, pauses and limits against plain counting."""

    def __init__(self) -> None:
        super().__init__()
        self.told: set[str] = set()
        self.slots = Slots(self.told.add)
        self.limits: dict[str, int] = {}
        self.held: dict[str, int] = dict.fromkeys(ROLES, 0)
        self.asking: dict[str, list[int]] = {role: [] for role in ROLES}
        self.resumed: list[int] = []
        self.count = 0

    @rule(limits=st.dictionaries(st.sampled_from(ROLES), st.integers(1, 4)))
    def set_limits(self, limits: dict[str, int]) -> None:
        self.limits = limits
        self.slots.set_limits(limits)
        self._settle()

    @rule(role=st.sampled_from(ROLES), jobs=st.integers(0, 4))
    def start(self, role: str, jobs: int) -> None:
        taken = self.slots.take(role)
        assert taken == max(0, self.limits.get(role, 0) - self.held[role])
        self.slots.return_unused(role, max(0, taken - jobs))
        self.held[role] += min(taken, jobs)
        self._settle()

    @rule(role=st.sampled_from(ROLES))
    def end(self, role: str) -> None:
        if self.held[role]:
            self.held[role] -= 1
            self.told.clear()
            self.slots.give(role)
            self._settle()
            assert (role in self.told) == bool(self.slots.room(role))

    @rule(role=st.sampled_from(ROLES))
    def resume(self, role: str) -> None:
        self.count += 1
        number = self.count
        self.asking[role].append(number)
        self.slots.resume(role, lambda: self.resumed.append(number))
        self._settle()

    @invariant()
    def counts_agree(self) -> None:
        assert {role: self.slots.busy(role) for role in ROLES} == self.held
        for role in self.limits:
            room = self.slots.room(role)
            assert room == max(0, self.limits[role] - self.held[role])
            assert not (room and self.asking[role]), "somebody waits although there is room"

    def _settle(self) -> None:
        """Who was let go on holds a slot now; the oldest of its role goes first."""
        for number in self.resumed:
            role = next(role for role in ROLES if number in self.asking[role])
            assert self.asking[role].pop(0) == number
            self.held[role] += 1
            assert role not in self.limits or self.held[role] <= self.limits[role]
        self.resumed.clear()


TestSlots = Model.TestCase
TestSlots.settings = settings(max_examples=15, stateful_step_count=20)


def test_a_freed_slot_goes_to_who_waits_to_go_on() -> None:
    """A job that has begun gets the slot, and nobody is told that a new one may start."""
    told: list[str] = []
    slots = Slots(told.append)
    slots.set_limits({"a": 1})
    assert slots.take("a") == 1
    told.clear()
    resumed: list[str] = []
    slots.resume("a", lambda: resumed.append("begun"))
    slots.give("a")
    assert (resumed, told, slots.room("a")) == (["begun"], [], 0)


def test_who_withdraws_is_not_called() -> None:
    """A job that was cancelled while it waited for a slot does not take one."""
    slots = Slots(lambda role: None)
    slots.set_limits({"a": 1})
    slots.take("a")
    called: list[int] = []

    def go() -> None:
        called.append(1)

    slots.resume("a", go)
    slots.withdraw("a", go)
    slots.give("a")
    assert (called, slots.busy("a")) == ([], 0)
    assert repr(slots) == "<Slots a 0/1>"


def test_a_concurrency_below_one_is_refused() -> None:
    """A limit that no job could ever pass says so, and changes nothing."""
    slots = Slots(lambda role: None)
    slots.set_limits({"a": 2})
    with pytest.raises(ValueError, match="expected a concurrency of at least 1 for a, got: 0"):
        slots.set_limits({"b": 1, "a": 0})
    assert slots.limits == {"a": 2}


def test_urgent_jobs_have_slots_of_their_own() -> None:
    """A role that is busy with its own work still has as many slots for more urgent jobs."""
    slots = Slots(lambda role: None)
    slots.set_limits({"a": 2})
    assert slots.take("a") == 2
    assert (slots.room("a"), slots.urgent_room("a"), slots.urgent_room("gone")) == (0, 2, 0)
    assert slots.take("a", urgent=True) == 2
    assert (slots.room("a"), slots.urgent_room("a")) == (0, 0)
    slots.return_unused("a", 1)
    slots.give("a")
    assert (slots.room("a"), slots.urgent_room("a")) == (0, 2)
