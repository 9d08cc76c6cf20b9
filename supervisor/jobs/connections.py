"""The connections to a PostgreSQL server, of which none waits for ever.

A server that hangs, or that the network cuts off, swallows what it is asked and never refuses.
Whoever waits for it is a thread, ours or DBOS's, that nobody can cancel and without which the
process cannot end. So the connections themselves watch how long nothing has come.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

from supervisor.clock import SystemClock
from supervisor.ledger.postgresql_connection import END, KEEPALIVES, WATCH, WHICH, Session

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds without a word after which the server is asked whether it works on what it was asked; and
seconds in which it has to say so. Together as long as the ledger gives it for anything; whoever
hands a job in over HTTP is still there then."""
_SILENT = "it does not answer"
_AT_WORK = """
SELECT state = 'active' FROM pg_stat_activity WHERE pid = %s AND backend_start = %s
"""
_IDLE = "SET idle_in_transaction_session_timeout = '10s'"
"""So that the server lets go of what a session has locked that was cut off in mid-transaction; ours
are never idle in one."""
_A_MOMENT = "SELECT pg_sleep(0.02)"
_STILL_THERE = "sessions of this process that were cut off have yet to end"


class GivenUp(psycopg.OperationalError):
    """The connections were given up."""


class Connections:
    """All connections of one opening of the store: when one meets silence, all are given up.

    Then whoever waits on another one is told within a tenth of a second, and no more are made: what
    is left of the old opening cannot meddle with the next one. A server that takes long is not
    silent: a lookout, one more connection, asks it what it does.

    Args:
        after: Those of the earlier opening. Their sessions are ended first, for one that was cut
            off keeps its locks, and may yet commit what was asked of it.
        patience: Seconds that the server may be silent, and then take to tell the lookout.
    """

    def __init__(self, *, after: Connections | None = None, patience: float) -> None:
        self._over = ""
        self._after = after
        self._patience = patience
        self._sessions: list[Session] = []
        self._lookout: Connection | None = None
        self._way: tuple[Sequence[Any], Mapping[str, Any]] = (), {}
        self._looking = threading.Lock()

    @property
    def over(self) -> str:
        """Why none can be used any more; empty while they can."""
        return self._over

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What to connect with; psycopg takes two seconds to connect where it is less."""
        return {"connect_timeout": math.ceil(2 * self._patience), **KEEPALIVES}

    def give_up(self, reason: str) -> None:
        """Let none be used any more.

        Args:
            reason: What everybody is told; the first one stands.
        """
        self._over = self._over or reason

    def close(self, reason: str) -> None:
        """Give up, and close the lookout; SQLAlchemy closes the others."""
        self.give_up(reason)
        with self._looking:
            if self._lookout is not None:
                self._lookout.close()

    def inherit(self, failed: Connections) -> None:
        """Let whoever comes after these end the sessions of an opening that failed, too."""
        self._sessions += failed._sessions

    def connect(
        self,
        _dialect: object,
        _record: object,
        arguments: Sequence[Any],
        parameters: Mapping[str, Any],
    ) -> Connection:
        """Make one; SQLAlchemy calls it instead of connecting.

        Raises:
            psycopg.Error: The server cannot be reached, or these were given up.
        """
        self._refuse_if_over()
        if self._lookout is None:
            # The first one, while the store is being opened: there is only one thread.
            self._way = arguments, dict(parameters)
            self._lookout = self._make(*self._way)
            if self._after is not None:
                self._after.end_sessions(self._lookout)
                self._after = None
        made = self._make(arguments, parameters)
        made.autocommit = False
        made.on_silence = self._look
        return made

    def end_sessions(self, connection: Connection) -> None:
        """End the sessions of these, on another connection, and wait until none is left.

        Raises:
            psycopg.Error: Some are still there.
        """
        since = SystemClock().monotonic()
        while sum(connection.execute(END, session).rowcount for session in self._sessions):
            if SystemClock().monotonic() - since > self._patience:
                raise psycopg.OperationalError(_STILL_THERE)
            connection.execute(_A_MOMENT)

    def _make(self, arguments: Sequence[Any], parameters: Mapping[str, Any]) -> Connection:
        try:
            made = Connection.connect(*arguments, autocommit=True, **parameters)
        except psycopg.errors.ConnectionTimeout as error:
            self.give_up(_SILENT)
            raise GivenUp(_SILENT) from error
        try:
            made.on_silence = self._expect
            made.execute(WATCH)
            made.execute(_IDLE)
            made.session = made.execute(WHICH).fetchone() or ()
            self._sessions.append(made.session)
        except BaseException:
            made.close()
            raise
        return made

    def _expect(self, _: Session, waited: float) -> bool:
        """What is answered at once."""
        if waited > self._patience:
            self.give_up(_SILENT)
        self._refuse_if_over()
        return False

    def _look(self, session: Session, waited: float) -> bool:
        """What may take as long as the server works on it."""
        self._refuse_if_over()
        if waited <= self._patience or not self._looking.acquire(blocking=False):
            return False
        try:
            if self._is_at_work(session):
                return True
            self.give_up(_SILENT)
        finally:
            self._looking.release()
        raise GivenUp(self._over)

    def _is_at_work(self, session: Session) -> bool:
        assert self._lookout is not None
        with contextlib.suppress(psycopg.Error):
            return _works(self._lookout, session)
        if self._over:
            return False
        # It is idle for days: the server may have hung up on it, or was started again since.
        with contextlib.suppress(psycopg.Error):
            self._lookout = self._make(*self._way)
            return _works(self._lookout, session)
        return False

    def _refuse_if_over(self) -> None:
        if self._over:
            raise GivenUp(self._over)

    def __repr__(self) -> str:
        return f"<Connections begun={len(self._sessions)} {self._over or 'in use'}>"


def _works(lookout: Connection, session: Session) -> bool:
    return lookout.execute(_AT_WORK, session).fetchone() == (True,)


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """One of them.

    Attributes:
        session: As the server knows it.
        on_silence: Called again and again while nothing comes, with the session and the seconds for
            which that has been so. It raises `GivenUp`, or says whether these begin anew.
    """

    session: Session = ()
    on_silence: Callable[[Session, float], bool]

    def wait(self, gen: PQGen[T], *args: Any, **options: Any) -> T:
        """Wait for what the server says; psycopg calls it for all that is asked.

        Raises:
            psycopg.OperationalError: It says nothing, and this is closed.
        """
        return super().wait(self._watched(gen), *args, **options)

    def _watched(self, gen: PQGen[T]) -> PQGen[T]:
        clock = SystemClock()
        since = clock.monotonic()
        try:
            wanted = next(gen)
            while True:
                # Ten times a second psycopg says that there is nothing, for the sake of Ctrl-C.
                ready = yield wanted
                if ready or self.on_silence(self.session, clock.monotonic() - since):
                    since = clock.monotonic()
                wanted = gen.send(ready)
        except StopIteration as end:
            value: T = end.value
            return value
        except GivenUp:
            self.pgconn.finish()
            raise
