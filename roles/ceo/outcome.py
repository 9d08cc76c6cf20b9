"""What became of a task: done, or not done and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from supervisor import JsonValue, SupervisorError

_LONGEST = 600


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one task.

    Attributes:
        result: What its role returned; None when it returned nothing.
        why: Why it counts as not done; empty when it is done.
        is_unpaid: Whether it was not begun, since no money was left.
    """

    result: JsonValue = None
    why: str = ""
    is_unpaid: bool = False

    @property
    def is_done(self) -> bool:
        """Whether others may build on it."""
        return not self.why

    @classmethod
    def of_result(cls, result: JsonValue) -> Outcome:
        """A role has returned something.

        What says itself that it failed, did not pass, or was stopped before its end, is not done.
        """
        return cls(result, _objection(result) if isinstance(result, dict) else "")

    @classmethod
    def of_error(cls, error: SupervisorError) -> Outcome:
        """The job failed, was cancelled, or could not be handed in."""
        return cls(None, shown(str(error) or type(error).__name__))


def shown(text: str) -> str:
    """A reason, short enough to be read."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} [cut]"


def _objection(told: Mapping[str, Any]) -> str:
    """Why a result is none; empty when it is one."""
    objections: list[str] = []
    if told.get("status") == "failed":
        objections.append("it failed")
    if told.get("passed") is False:
        objections.append("it did not pass")
    if "passed" in told and told.get("stopped"):
        objections.append(str(told["stopped"]))
    if not objections:
        return ""
    if told.get("summary"):
        objections.append(str(told["summary"]))
    if told.get("branch"):
        objections.append(f"what there is is on branch {told['branch']}")
    return shown("; ".join(objections))
