"""Changes the key while requests go on.

A look for a new key is taken when a file changes, on SIGHUP and by hand. The new one is tried at an
endpoint that costs nothing; only when the API takes it does it become the current one, from one
attempt to the next. Whatever goes wrong, the old key goes on, and it is said.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread
import structlog
import watchfiles
from anyio.abc import TaskStatus

from supervisor.clock import Clock
from supervisor.config.key import FoundKey, KeySource
from supervisor.errors import ConfigError
from supervisor.upstream.client import Upstream
from supervisor.upstream.failures import Failure, FailureKind
from supervisor.upstream.key import Key, fingerprint
from supervisor.upstream.outcome import Outcome
from supervisor.upstream.reload import KeySnapshot, Reload, Result, verdict
from supervisor.upstream.thread import ask_in_thread

_log = structlog.get_logger("supervisor.keys")

SWEEP = 5.0
"""Seconds after which the files are looked at even if nobody says that they have changed."""
AGAIN = 30.0
"""Seconds after which a new key that could not be tried is tried again."""
_PATIENCE = 15.0
"""Seconds for the free endpoint to answer."""
_QUIET = 100
"""Milliseconds without a change after which a writer counts as done."""
_SWAPPED = "..data"
"""The link by which Kubernetes changes all files of a folder at once."""

_ANEW = "at console.x.ai a key can be created anew"
_FIXED = (
    "the environment of a running process cannot change: to rotate without a restart, keep the key "
    "in .env, or name key.file or key.command"
)

Attempt = Callable[[Key], Awaitable[Outcome]]


class Hints(Protocol):
    """Where hints come from that files in these folders have changed."""

    def __call__(self, *folders: Path) -> AsyncGenerator[object]: ...


@dataclass(frozen=True, slots=True)
class InUse:
    """A key and where it came from.

    Attributes:
        key: The key; the one object that changes.
        origin: Where it was found, as people call it.
        source: Where a new one can be found; None when there is nothing to rotate.
        seen: What `source.look()` gave before it was read.
    """

    key: Key
    origin: str
    source: KeySource | None = None
    seen: str = ""


class Rotation:
    """Keeps the key up to date.

    Args:
        in_use: The key that is sent with, and where a new one would be.
        attempt: Asks the free endpoint with a key.
        clock: Tells the time.
        on_change: Told when another key has become the current one.
        hints: Where hints come from.
    """

    def __init__(
        self,
        in_use: InUse,
        *,
        attempt: Attempt,
        clock: Clock,
        on_change: Callable[[], None],
        hints: Hints | None = None,
    ) -> None:
        self._key = in_use.key
        self._origin = in_use.origin
        self._source = in_use.source
        self._seen = in_use.seen
        self._attempt = attempt
        self._clock = clock
        self._on_change = on_change
        self._hints = hints or self._file_events
        self._since = clock.wall()
        self._rotations = 0
        self._last: Reload | None = None
        self._again = float("inf")
        self._lock = anyio.Lock()
        self._asked = self._answered = 0
        self._cause = ""
        self._called = anyio.Event()

    def __repr__(self) -> str:
        return f"<Rotation {self._key.fingerprint} of {self._origin}>"

    def snapshot(self) -> KeySnapshot:
        """How it stands."""
        return KeySnapshot(
            source=self._origin,
            fingerprint=self._key.fingerprint,
            since=self._since,
            rotations=self._rotations,
            last=self._last,
        )

    def call(self, cause: str) -> None:
        """Have `run` look for a new key, as soon as it runs."""
        self._cause = cause
        self._called.set()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Look for a new key when it is called for or a file changes, until cancelled."""
        task_status.started()
        async with anyio.create_task_group() as tasks:
            if self._source is not None and self._source.files:
                tasks.start_soon(self._watch, self._source)
            while True:
                await self._called.wait()
                self._called = anyio.Event()
                await self.reload(self._cause)

    async def reload(self, cause: str) -> Reload:
        """Look for a new key, and use it if the API takes it.

        Whoever asks while a look is under way shares the next one with all others who do: what
        was written after that look had begun must be seen.

        Args:
            cause: Why, for the log.
        """
        self._asked += 1
        number = self._asked
        async with self._lock:
            if self._last is not None and self._answered >= number:
                return self._last
            covered = self._asked
            self._last = replace(await self._reload(cause), cause=cause, at=self._clock.wall())
            self._answered = covered
            self._tell(self._last)
            return self._last

    # -- one look ---------------------------------------------------------------------------------

    async def _reload(self, cause: str) -> Reload:
        source = self._source
        if source is None:
            text = f"there is nothing to rotate: the key is that of {self._origin}"
            return Reload(Result.UNCHANGED, cause, text)
        self._again = float("inf")
        try:
            self._seen = await anyio.to_thread.run_sync(source.look)
            # A command that hangs must not keep the process from stopping.
            found = await ask_in_thread(source.read)
        except ConfigError as error:
            text = f"{self._key.redact(error.message)}; {self._goes_on()}"
            return Reload(Result.MALFORMED, cause, text, error.hint)
        mark = fingerprint(found.secret)
        if mark == self._key.fingerprint:
            self._origin = found.origin
            text = f"{found.origin} holds the key in use, {mark}"
            return Reload(Result.UNCHANGED, cause, text, _FIXED if found.fixed else "")
        return await self._try(found, mark, cause=cause)

    async def _try(self, found: FoundKey, mark: str, *, cause: str) -> Reload:
        self._key.hide(found.secret)
        result, failure = verdict(await self._attempt(Key(found.secret.get_secret_value())))
        if failure is not None:
            kept = self._kept(result, failure, mark=mark, cause=cause)
            wrong = failure.kind is FailureKind.KEY
            return replace(kept, hint=f"see {found.origin}; {_ANEW}") if wrong else kept
        before = self._key.fingerprint
        self._key.change(found.secret)
        self._origin, self._since = found.origin, self._clock.wall()
        self._rotations += 1
        self._on_change()
        text = f"requests go with {mark} from now on; those under way end with {before}"
        return Reload(result, cause, text, found.warning)

    def _kept(self, result: Result, failure: Failure, *, mark: str, cause: str) -> Reload:
        said = self._key.redact(failure.text)
        if result is Result.UNREACHABLE:
            self._again = self._clock.monotonic() + AGAIN
            text = f"the new key {mark} could not be tried: {said}; {self._goes_on()}"
            return Reload(result, cause, text, f"it is tried again in {AGAIN:.0f} s")
        text = f"the API refused the new key {mark}: {said}; {self._goes_on()}"
        return Reload(result, cause, text, failure.hint)

    def _goes_on(self) -> str:
        return f"requests go on with {self._key.fingerprint}"

    def _tell(self, last: Reload) -> None:
        cause, detail = last.cause, last.detail
        if last.result is Result.ROTATED:
            _log.info("keys.rotated", cause=cause, detail=detail, source=self._origin)
        elif last.result is Result.UNCHANGED:
            _log.info("keys.unchanged", cause=cause, detail=detail)
        else:
            kept = last.result.value
            _log.warning("keys.kept", result=kept, cause=cause, detail=detail, hint=last.hint)

    # -- the files --------------------------------------------------------------------------------

    async def _watch(self, source: KeySource) -> None:
        """Look where a file has other content; what events do not tell, the sweep sees."""
        while True:
            await self._look(source)
            folders = await anyio.to_thread.run_sync(_folders, source.files)
            try:
                async with aclosing(self._hints(*folders)) as hints:
                    async for _ in hints:
                        await self._look(source)
            except (OSError, RuntimeError) as error:
                _log.warning("keys.watch_failed", error=str(error))
            await anyio.sleep(SWEEP)

    async def _look(self, source: KeySource) -> None:
        """Reload if a file has changed, or if the last new key is due to be tried again."""
        seen = await anyio.to_thread.run_sync(source.look)
        if seen != self._seen:
            await self.reload("a file changed")
        elif self._clock.monotonic() >= self._again:
            await self.reload("tried again")

    async def _file_events(self, *folders: Path) -> AsyncGenerator[object]:
        if not folders:
            return
        names = {file.name for file in self._source.files} if self._source else set[str]()

        def is_news(_: watchfiles.Change, path: str) -> bool:
            return Path(path).name in names | {_SWAPPED}

        stop = threading.Event()
        events = watchfiles.watch(
            *folders,
            watch_filter=is_news,
            step=_QUIET,
            rust_timeout=int(SWEEP * 1000),
            yield_on_timeout=True,
            recursive=False,
            raise_interrupt=False,
            stop_event=stop,
        )
        try:
            # Abandoned on cancel: the thread ends as soon as it sees the stop event.
            following = partial(next, events, None)
            run = partial(anyio.to_thread.run_sync, following, abandon_on_cancel=True)
            while (changes := await run()) is not None:
                yield changes
        finally:
            stop.set()


async def ask_free_endpoint(base_url: str, key: Key, *, patience: float = _PATIENCE) -> Outcome:
    """What the API says to a key, at no cost; over a connection of its own.

    Args:
        base_url: The API.
        key: The only key that is sent.
        patience: Seconds for all of the answer; others may wait for their look meanwhile.
    """
    upstream = Upstream(base_url, key, timeout=patience, longest=patience)
    try:
        return await upstream.get("/api-key" if ".x.ai" in base_url else "/models")
    finally:
        with anyio.CancelScope(shield=True):
            await upstream.aclose()


def _folders(files: tuple[Path, ...]) -> list[Path]:
    """The folders of files, of those that are there."""
    return sorted({file.parent for file in files if file.parent.is_dir()})
