"""One person's conversation with the team: what is being done now, and how it is shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio

from supervisor.clock import Clock
from supervisor.config.report import without_keys
from supervisor.errors import StoreError, SupervisorError
from supervisor.terminal.answer import Answer
from supervisor.terminal.asking import Question, ask
from supervisor.terminal.blocks import Blocks
from supervisor.terminal.clean import Cleaner
from supervisor.terminal.door import Door
from supervisor.terminal.house import House
from supervisor.terminal.keyboard import Keyboard
from supervisor.terminal.screen import Screen
from supervisor.terminal.session import Session
from supervisor.terminal.sessions import Sessions
from supervisor.terminal.text import Color

_TYPED = 40
"""Characters of a begun line that are shown while something is under way."""
STOPPED = "stopped"
"""Why an answer is not whole that somebody stopped."""


class Conversation:
    """What the loop, the commands and the asking share.

    Args:
        door: Where the person sits.
        house: Who is talked with.
        sessions: Where it is kept.
        session: What it goes on with.
        plain: Neither markdown nor colours.
        clock: Tells the time.

    Attributes:
        session: The session now.
        screen: What is seen.
        keys: What is typed meanwhile.
        draft: What the next prompt begins with.
    """

    def __init__(
        self,
        door: Door,
        house: House,
        *,
        sessions: Sessions,
        session: Session,
        plain: bool,
        clock: Clock,
    ) -> None:
        self.house = house
        self.sessions = sessions
        self.session = session
        self.screen = Screen(door, plain=plain)
        self.keys = Keyboard(door)
        self.draft = session.pending
        self.person = door.person
        self._clock = clock
        self._doing = ""
        self._blocks = Blocks()
        self._cleaner = Cleaner()
        self._unsaved = False

    def enter(self, session: Session) -> None:
        """Go on with another session."""
        self.session = session
        self.draft = session.pending

    def show_last(self) -> None:
        """Show where the session stands: what was said last in it."""
        if self.session.is_empty:
            return
        title = f"session {self.session.id}: {len(self.session.exchanges)} answers so far"
        self.screen.say(title, Color.FAINT)
        for exchange in self.session.exchanges[-1:]:
            self.screen.say(f"> {exchange.question}", Color.STRONG)
            self.screen.markdown(exchange.answer)
            if exchange.cut:
                self.screen.say(exchange.cut, Color.WARNING)

    def tell(self, error: SupervisorError) -> None:
        """Say what went wrong; the conversation goes on."""
        # A command that is none, or what one was given, may be a key that was pasted.
        self.screen.say(f"error: {without_keys(str(error))}", Color.BAD)

    async def attend(self, work: Callable[[], Awaitable[object]]) -> bool:
        """Do something that Ctrl-C and Esc stop.

        Args:
            work: Is cancelled then.

        Returns:
            Whether it came to its end.

        Raises:
            SupervisorError: What the work raised.
        """
        try:
            with (
                anyio.CancelScope() as scope,
                self.keys.listening(scope.cancel, self._refresh),
            ):
                await work()
        except EOFError:
            # The terminal is gone, so its keys cannot be read.
            self.keys.gone = True
            return False
        finally:
            self._doing = ""
            self.screen.status("")
        if scope.cancelled_caught:
            # What was typed ahead was meant for after an answer that did not come.
            self.draft = self.keys.take_draft()
        return not scope.cancelled_caught

    async def ask(self, text: str) -> None:
        """Ask the model, show its answer as it comes, and keep both."""
        await self._keep(partial(self.sessions.asked, self.session, text))
        answer = Answer()
        cut = await self._answered(self._question(text), answer)
        if not answer.is_empty:
            exchange = answer.exchange(text, cut=cut, at=self._clock.wall())
            await self._keep(partial(self.sessions.answered, self.session, exchange))
        elif cut:
            # It is there to be sent again; where something else was typed, Up recalls it.
            self.draft = self.draft or text
        else:
            self.screen.say(f"the answer is empty: {answer.finish or 'no reason given'}")

    def waits(self, text: str) -> None:
        """Show how it stands; see `asking.Listener`."""
        self._doing = text
        self._refresh()

    def says(self, piece: str) -> None:
        """Show a piece of the answer, or the blocks that it completes."""
        if self.screen.plain:
            self.screen.flow(self._cleaner.feed(piece))
            return
        self._show(self._blocks.feed(piece))
        self._refresh()

    def _question(self, text: str) -> Question:
        session = self.session
        return Question(session.model, session.messages(text), session.id)

    async def _answered(self, question: Question, answer: Answer) -> str:
        """Why the answer is not whole; empty when it is. The person has been told."""
        self._blocks, self._cleaner = Blocks(), Cleaner()
        work = partial(ask, self.house, question, answer=answer, listener=self, clock=self._clock)
        try:
            whole = await self.attend(work)
        except SupervisorError as error:
            self._show_rest()
            self.tell(error)
            self.draft = self.keys.take_draft()
            return str(error)
        self._show_rest()
        if not whole:
            self.screen.say(STOPPED, Color.WARNING)
            return STOPPED
        if answer.shortened:
            self.screen.say(f"the answer ended early: {answer.shortened}", Color.WARNING)
        return answer.shortened

    def _show_rest(self) -> None:
        if self.screen.plain:
            self.screen.flow(self._cleaner.rest())
            self.screen.end_flow()
        else:
            self._show(self._blocks.rest())

    def _show(self, blocks: Sequence[str]) -> None:
        for block in blocks:
            self.screen.markdown(block)

    def _refresh(self) -> None:
        """Show on one line what is done, and what was typed meanwhile."""
        parts = ["Ctrl-C stops", self._doing] if self._doing else []
        if self.keys.queued:
            parts.insert(0, f"{len(self.keys.queued)} to be asked next")
        if self.keys.draft:
            # Whoever types looks at what he types, and least at its beginning.
            parts.insert(0, f"> {self.keys.draft[-_TYPED:]}")
        self.screen.status(" · ".join(parts))

    async def _keep(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write something down; a conversation that cannot be kept is still one."""
        try:
            await write()
        except StoreError as error:
            if not self._unsaved:
                self.tell(error)
            self._unsaved = True
