"""Completes what is typed after a slash: commands, and the names that they take."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from supervisor.errors import SupervisorError
from supervisor.terminal.clean import clean
from supervisor.terminal.commands import COMMANDS
from supervisor.terminal.house import House
from supervisor.terminal.sessions import Sessions


class Words(Completer):
    """The words that can come next.

    Args:
        house: Knows roles and models.
        sessions: Knows the sessions.
    """

    def __init__(self, house: House, sessions: Sessions) -> None:
        self._house = house
        self._sessions = sessions

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """The commands; what else there is takes asking, see `get_completions_async`."""
        text = document.text_before_cursor
        if not text.startswith("/") or " " in text:
            return []
        return [
            Completion(f"/{name}", -len(text), display_meta=does)
            for name, (_, does) in COMMANDS.items()
            if name.startswith(text[1:])
        ]

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion]:
        """The commands, or the names that the command before takes."""
        for completion in self.get_completions(document, complete_event):
            yield completion
        command, space, begun = document.text_before_cursor.partition(" ")
        if not space or " " in begun:
            return
        for name in await self._names(command):
            if name.startswith(begun):
                yield Completion(name, -len(begun))

    async def _names(self, command: str) -> Sequence[str]:
        try:
            if command == "/ask":
                return await role_names(self._house)
            if command == "/model":
                return await model_names(self._house)
        except SupervisorError:
            # Nobody wants an error in the middle of his line.
            return []
        if command == "/resume":
            return [session.id for session in await self._sessions.latest()]
        return []


async def role_names(house: House) -> Sequence[str]:
    """The names of the roles there are.

    Raises:
        SupervisorError: They could not be asked for.
    """
    return [clean(str(role["name"])) for role in (await house.get("/api/roles"))["roles"]]


async def model_names(house: House) -> Sequence[str]:
    """The ids of the models that the API offers.

    Raises:
        SupervisorError: They could not be asked for.
    """
    document = await house.get("/v1/models", patience=30.0)
    return [clean(str(model["id"])) for model in document.get("data", ())]
