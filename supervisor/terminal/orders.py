"""Does what the commands say."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote

from supervisor.errors import SupervisorError
from supervisor.terminal.commands import Order, help_text, split_ask
from supervisor.terminal.completion import model_names, role_names
from supervisor.terminal.conversation import Conversation
from supervisor.terminal.job_text import (
    ENDED,
    as_value,
    ending,
    jobs_table,
    objection,
    result_markdown,
)
from supervisor.terminal.reports import (
    cost_text,
    models_text,
    queue_text,
    roles_text,
    sessions_text,
)
from supervisor.terminal.status_text import status_text
from supervisor.terminal.text import Color
from supervisor.terminal.waiting import one_line

_POLL = 2
"""Seconds of one long poll for a job; as often it is shown how it stands."""
_LISTED = 20


class Orders:
    """The commands of one conversation.

    Args:
        talk: The conversation.
    """

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self._house = talk.house
        self._screen = talk.screen
        self._acts: Mapping[str, Callable[[str], Awaitable[None]]] = {
            "help": self._help,
            "model": self._model,
            "status": self._status,
            "cost": self._cost,
            "queue": self._queue,
            "roles": self._roles,
            "jobs": self._jobs,
            "ask": self._ask,
            "new": self._new,
            "resume": self._resume,
        }

    async def follow(self, order: Order) -> bool:
        """Do what an order says.

        Returns:
            Whether the conversation goes on.
        """
        if order.name == "quit":
            return False
        try:
            whole = await self._talk.attend(lambda: self._acts[order.name](order.argument))
        except SupervisorError as error:
            self._talk.tell(error)
            return True
        if not whole and order.name != "ask":
            self._screen.say("stopped", Color.WARNING)
        return True

    async def _help(self, argument: str) -> None:
        self._screen.say(help_text())

    async def _model(self, argument: str) -> None:
        self._talk.waits("asking for the models")
        session = self._talk.session
        if not argument:
            self._screen.say(models_text(await model_names(self._house), session.model))
            return
        try:
            known = await model_names(self._house)
        except SupervisorError:
            known = [argument]
        if argument not in known:
            near = difflib.get_close_matches(argument, known, n=1)
            guess = f"; did you mean {near[0]}?" if near else ""
            self._screen.say(f"the API does not list {argument}{guess}", Color.WARNING)
        session.model = argument
        self._screen.say(f"asking {argument} from now on")

    async def _status(self, argument: str) -> None:
        # What the house says in it is cleaned before it is coloured.
        report = _cleaned(await self._house.get("/health"))
        self._screen.show(status_text(report, self._screen.painter))

    async def _cost(self, argument: str) -> None:
        usage = await self._house.get("/api/usage")
        self._screen.say(cost_text(self._talk.session.cost, usage["usage"]))

    async def _queue(self, argument: str) -> None:
        self._screen.say(queue_text(await self._house.get("/api/queue")))

    async def _roles(self, argument: str) -> None:
        self._screen.say(roles_text(await self._house.get("/api/roles")))

    async def _jobs(self, argument: str) -> None:
        if argument:
            job = await self._house.get(f"/api/jobs/{quote(argument, safe='')}")
            if job["status"] in ENDED:
                self._show(job)
            else:
                self._screen.say(f"job {job['id']} is {job['status']}")
            return
        listed = (await self._house.get(f"/api/jobs?limit={_LISTED}"))["jobs"]
        self._screen.say(jobs_table(listed) if listed else "there are no jobs")

    async def _ask(self, argument: str) -> None:
        known = () if " " in argument else await role_names(self._house)
        role, text = split_ask(argument, known)
        value = as_value(text, hint="a word before it makes it a text")
        job = await self._house.post("/api/jobs", {"role": role, "input": value})
        name = one_line(str(job["id"]))
        try:
            while job["status"] not in ENDED:
                self._talk.waits(f"job {name} is {job['status']}")
                path = f"/api/jobs/{quote(job['id'], safe='')}?wait={_POLL}s"
                job = await self._house.get(path, patience=_POLL)
        except BaseException:
            self._screen.say(f"job {name} goes on; /jobs {name} shows it", Color.WARNING)
            raise
        self._show(job)

    async def _new(self, argument: str) -> None:
        old = self._talk.session
        new = self._talk.sessions.new(person=self._talk.person, model=old.model)
        self._talk.enter(new)
        self._screen.say(f"session {new.id} begins", Color.FAINT)

    async def _resume(self, argument: str) -> None:
        if not argument:
            listed = await self._talk.sessions.latest(limit=_LISTED)
            self._screen.say(sessions_text(listed) if listed else "there are no sessions yet")
            return
        self._talk.enter(await self._talk.sessions.find(argument))
        self._talk.show_last()

    def _show(self, job: Mapping[str, Any]) -> None:
        if job["status"] == "done":
            self._screen.markdown(result_markdown(job["result"]))
            if told := objection(job):
                self._screen.say(told, Color.WARNING)
        else:
            self._screen.say(ending(job), Color.BAD)


def _cleaned(value: Any) -> Any:
    """A JSON value with all its texts on one line and harmless."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {one_line(name): _cleaned(one) for name, one in fields.items()}
    if isinstance(value, list):
        return [_cleaned(one) for one in cast("Sequence[Any]", value)]
    return value
