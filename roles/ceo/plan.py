"""A plan: tasks that need each other in no circle. Pure: what may start, what is stuck."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

MOST_TASKS = 8

_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,29}$")]


class Task(BaseModel):
    """One task; the model fills it in, so every field has to be there.

    Attributes:
        id: A short name.
        role: Who is to do it.
        instruction: What is to be done.
        needs: Tasks whose results it builds on.
        done_when: How to tell that it is done; empty when the instruction says it.
        max_calls: Most answers of the model to use; None for the role's own limit.
        max_usd: Most US dollars to spend; None for no limit of its own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: _Id
    role: str
    instruction: Annotated[str, Field(min_length=1)]
    needs: tuple[str, ...]
    done_when: str
    max_calls: Annotated[int, Field(ge=1)] | None
    max_usd: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None


def ids(tasks: Iterable[Task]) -> list[str]:
    """The names of tasks."""
    return [task.id for task in tasks]


class Plan(BaseModel):
    """Tasks, in the order in which they are told and reported."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tasks: Annotated[tuple[Task, ...], Field(min_length=1, max_length=MOST_TASKS)]

    @model_validator(mode="after")
    def _holds_together(self) -> Plan:
        problems = [*self._repeated(), *self._unknown()]
        if not problems:
            problems = self._circles()
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def ready(self, *, started: Collection[str], done: Collection[str]) -> list[Task]:
        """Tasks that can start now.

        Args:
            started: Ids of all tasks that have been started, those that have ended included.
            done: Ids of the tasks that are done.
        """
        return [
            task
            for task in self.tasks
            if task.id not in started and all(need in done for need in task.needs)
        ]

    def behind(self, task: Task) -> list[Task]:
        """All tasks that one builds on, directly or by others: each after those that it needs."""
        needed: set[str] = set()
        fresh = set(task.needs)
        while fresh:
            needed |= fresh
            fresh = {need for one in self.tasks if one.id in fresh for need in one.needs} - needed
        return [one for one in self._in_order() if one.id in needed]

    def blocked(self, undone: Collection[str]) -> dict[str, list[str]]:
        """Tasks that cannot be done any more, each with those that stand in its way.

        Args:
            undone: Ids of the tasks that have failed.
        """
        return {
            task.id: hindrances
            for task in self.tasks
            if task.id not in undone
            and (hindrances := [one.id for one in self.behind(task) if one.id in undone])
        }

    def _in_order(self) -> list[Task]:
        """All tasks, each after those that it needs; those in a circle at the end."""
        ordered: list[Task] = []
        while following := self.ready(started={*ids(ordered)}, done={*ids(ordered)}):
            ordered += following
        return [*ordered, *(task for task in self.tasks if task not in ordered)]

    def _repeated(self) -> list[str]:
        counts = Counter(task.id for task in self.tasks)
        return [f'{count} tasks have the id "{id}"' for id, count in counts.items() if count > 1]

    def _unknown(self) -> list[str]:
        known = ids(self.tasks)
        return [
            f'"{task.id}" needs "{need}", which is no task; there are: {", ".join(known)}'
            for task in self.tasks
            for need in task.needs
            if need not in known
        ]

    def _circles(self) -> list[str]:
        stuck = ids(task for task in self.tasks if task in self.behind(task))
        if not stuck:
            return []
        return [f"tasks need each other, or themselves, in a circle: {', '.join(stuck)}"]


def form_for(roles: Sequence[str]) -> type[Plan]:
    """The plan as the model is to fill it in: it can name no other roles than these.

    Args:
        roles: Their names, in the order in which they are to be listed; at least one.
    """
    known: Any = Literal[tuple(roles)]
    task: Any = create_model("Task", __base__=Task, role=(known, ...))
    tasks: Any = tuple[task, ...]
    length: Any = Field(min_length=1, max_length=MOST_TASKS)
    return create_model("Plan", __base__=Plan, tasks=(tasks, length))
