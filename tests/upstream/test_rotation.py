"""A new key comes into use while requests go on, and nothing but a good one does."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import pytest
from anyio.abc import SocketAttribute, SocketStream
from pydantic import SecretStr
from structlog.testing import capture_logs

from supervisor.clock import SystemClock
from supervisor.config.key import KeySource
from supervisor.messages import Request
from supervisor.upstream.client import Upstream
from supervisor.upstream.failures import FailureKind
from supervisor.upstream.key import Key, fingerprint
from supervisor.upstream.outcome import Outcome
from supervisor.upstream.reload import Reload, Result
from supervisor.upstream.rotation import AGAIN, InUse, Rotation, ask_free_endpoint
from tests.upstream.api import BAD_KEY, BROKEN, CUT, Answer, ScriptedApi, completion
from tests.waiting import heard, until, until_noticed

pytestmark = pytest.mark.anyio

OLD = "xai-test-old-not-a-real-key-000000"
NEW = "xai-test-new-not-a-real-key-111111"
THIRD = "xai-test-third-not-a-real-key-222222"
MODELS = Answer(body=b'{"data": []}')


class Moving(SystemClock):
    """A clock that a test can put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


@dataclass
class Bench:
    """A rotation on a folder with a secret file, and an API that is asked about keys.

    Attributes:
        rotation: What is tested.
        key: The key it changes.
        file: The secret file.
        api: Is asked about new keys.
        clock: The clock it looks at.
        changed: How often another key came into use.
        hints: Says that files may have changed.
    """

    rotation: Rotation
    key: Key
    file: Path
    api: ScriptedApi
    clock: Moving
    hints: Hints
    changed: list[str] = field(default_factory=list[str])

    def write(self, text: str) -> None:
        """Put something into the secret file."""
        self.file.write_text(text)

    @property
    def asked_with(self) -> list[str]:
        """The headers by which the API was asked."""
        return [one.request.headers["authorization"] for one in self.api.arrivals]


class Hints:
    """File events that a test sends; real time passes none."""

    def __init__(self) -> None:
        self.event = anyio.Event()
        self.looked = anyio.Event()
        self.trouble: Exception | None = None

    def send(self) -> None:
        self.event.set()

    async def follow(self) -> None:
        """Send one, and wait until all that it leads to is done."""
        self.looked = anyio.Event()
        self.send()
        await self.looked.wait()

    async def __call__(self, *folders: Path) -> AsyncGenerator[object]:
        while True:
            await self.event.wait()
            self.event = anyio.Event()
            if self.trouble is not None:
                raise self.trouble
            yield folders
            # Whoever comes for the next one has done what this one was for.
            self.looked.set()


async def bench(tmp_path: Path, *answers: Answer, source: bool = True) -> Bench:
    """A rotation that uses the old key, which is in the secret file."""
    file = tmp_path / "grok"
    file.write_text(OLD)
    file.chmod(0o600)
    api, clock, hints, key = ScriptedApi(*answers, default=MODELS), Moving(), Hints(), Key(OLD)

    async def attempt(one: Key) -> Outcome:
        return await Upstream("https://api.test/v1", one, transport=api).get("/models")

    sources = KeySource(env_file=tmp_path / ".env", file=file)
    seen = await anyio.to_thread.run_sync(sources.look)
    in_use = InUse(key, "key.file", sources, seen) if source else InUse(key, "a toy")
    changed: list[str] = []
    rotation = Rotation(
        in_use,
        attempt=attempt,
        clock=clock,
        on_change=lambda: changed.append(key.fingerprint),
        hints=hints,
    )
    return Bench(rotation, key, file, api, clock, hints, changed)


@asynccontextmanager
async def at_work(one: Bench) -> AsyncGenerator[None]:
    """The rotation at work beside the block."""
    async with anyio.create_task_group() as tasks:
        await tasks.start(one.rotation.run)
        yield
        tasks.cancel_scope.cancel()


def shown(one: Bench, reload: Reload) -> str:
    """Everything that is shown of a rotation."""
    return f"{one.rotation!r} {one.rotation.snapshot()} {reload} {one.key!r}"


# -- one look -------------------------------------------------------------------------------------


async def test_a_good_key_comes_into_use(tmp_path: Path) -> None:
    """The new key is tried with itself only, then sent; those who care are told, once."""
    one = await bench(tmp_path)
    one.write(NEW + "\n")
    done = await one.rotation.reload("by hand")
    snapshot = one.rotation.snapshot()
    assert (done.result, done.cause) == (Result.ROTATED, "by hand")
    assert one.asked_with == [f"Bearer {NEW}"]
    assert one.key.authorization() == {"authorization": f"Bearer {NEW}"}
    assert one.changed == [fingerprint(SecretStr(NEW))]
    assert (snapshot.fingerprint, snapshot.rotations, snapshot.last) == (one.changed[0], 1, done)
    assert snapshot.source == f"{one.file} (key.file)"
    assert not {OLD, NEW, OLD[:12], NEW[:12]} & set(shown(one, done).split())
    assert OLD not in shown(one, done)
    assert NEW not in shown(one, done)


async def test_the_same_key_is_said_to_be_the_same(tmp_path: Path) -> None:
    """Without a change nothing is asked and nothing changes, and that is said."""
    one = await bench(tmp_path)
    done = await one.rotation.reload("SIGHUP")
    assert done.result is Result.UNCHANGED
    assert "holds the key in use" in done.detail
    assert (one.asked_with, one.changed, one.rotation.snapshot().rotations) == ([], [], 0)


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (BAD_KEY, Result.REFUSED),
        (Answer(403, b'{"code":"x","error":"Your team is blocked"}'), Result.REFUSED),
        (Answer(body=b'{"api_key_disabled": true}'), Result.REFUSED),
        (BROKEN, Result.UNREACHABLE),
        (CUT, Result.UNREACHABLE),
        (Answer(body=b"<html>"), Result.UNREACHABLE),
    ],
)
async def test_a_key_that_is_not_taken(tmp_path: Path, answer: Answer, result: Result) -> None:
    """Whatever the API says against the new key, the old one goes on and a warning says so."""
    one = await bench(tmp_path, answer)
    one.write(NEW)
    with capture_logs() as logs:
        done = await one.rotation.reload("SIGHUP")
    assert done.result is result
    assert f"requests go on with {fingerprint(SecretStr(OLD))}" in done.detail
    assert one.key.authorization() == {"authorization": f"Bearer {OLD}"}
    assert one.changed == []
    assert [(log["event"], log["log_level"]) for log in logs] == [("keys.kept", "warning")]
    assert NEW not in f"{logs} {shown(one, done)}"
    # The one that was tried stays out of every text, whoever has it.
    assert one.key.redact(f"got {NEW} and {OLD}") == "got *** and ***"


@pytest.mark.parametrize(
    "content", ["", "two words", '"xai-test-quoted-not-a-real-key"', "gsk_\n\x00"]
)
async def test_what_cannot_be_a_key_is_not_tried(tmp_path: Path, content: str) -> None:
    """A file that holds no key is told with what was expected; the API is not asked."""
    one = await bench(tmp_path)
    one.write(content)
    done = await one.rotation.reload("SIGHUP")
    assert done.result is Result.MALFORMED
    assert "expected" in done.detail
    assert one.asked_with == []
    assert one.key.authorization() == {"authorization": f"Bearer {OLD}"}


async def test_a_file_that_is_gone(tmp_path: Path) -> None:
    """A secret file that was taken away leaves the key in use."""
    one = await bench(tmp_path)
    one.file.unlink()
    done = await one.rotation.reload("SIGHUP")
    assert done.result is Result.MALFORMED
    assert "cannot be read" in done.detail


async def test_an_environment_cannot_change(tmp_path: Path) -> None:
    """A key that came from the environment says what to do to be able to rotate it."""
    key = Key(OLD)
    source = KeySource(env_file=tmp_path / ".env", variables={"XAI_API_KEY": SecretStr(OLD)})

    async def attempt(_: Key) -> Outcome:
        raise AssertionError("there is nothing to ask")

    rotation = Rotation(
        InUse(key, "environment variable XAI_API_KEY", source),
        attempt=attempt,
        clock=SystemClock(),
        on_change=lambda: None,
    )
    done = await rotation.reload("by hand")
    assert done.result is Result.UNCHANGED
    assert "key.file or key.command" in done.hint


async def test_nothing_to_rotate(tmp_path: Path) -> None:
    """The simulated API's key is nobody's: a reload says that there is nothing to do."""
    one = await bench(tmp_path, source=False)
    async with at_work(one):
        done = await one.rotation.reload("by hand")
    assert done.result is Result.UNCHANGED
    assert "nothing to rotate" in done.detail


async def test_reloads_at_once_are_one(tmp_path: Path) -> None:
    """However many ask at the same moment, the new key is tried once and all hear of it."""
    one = await bench(tmp_path, Answer(body=b"{}", after=0.01))
    one.write(NEW)
    found: list[Reload] = []

    async def reload() -> None:
        found.append(await one.rotation.reload("by hand"))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(reload)
    assert len(one.asked_with) == 1
    assert {done.result for done in found} == {Result.ROTATED}


async def test_a_change_during_a_reload_is_seen(tmp_path: Path) -> None:
    """Who asks while a reload is under way gets one that has seen what is there now."""
    one = await bench(tmp_path, Answer(body=b"{}", after=0.05), MODELS)
    one.write(NEW)
    found: list[Reload] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.rotation.reload, "first")
        await until(lambda: one.asked_with)
        one.write(THIRD)
        found.append(await one.rotation.reload("second"))
    assert (found[0].result, found[0].cause) == (Result.ROTATED, "second")
    assert one.key.fingerprint == fingerprint(SecretStr(THIRD))


async def test_a_reload_that_is_given_up_does_not_count(tmp_path: Path) -> None:
    """When whoever asked goes away in the middle, the next one looks again."""
    one = await bench(tmp_path, Answer(body=b"{}", after=60.0), MODELS)
    one.write(NEW)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.rotation.reload, "impatient")
        await until(lambda: one.asked_with)
        tasks.cancel_scope.cancel()
    assert (await one.rotation.reload("again")).result is Result.ROTATED


# -- what sets it off -----------------------------------------------------------------------------


async def test_a_changed_file_is_enough(tmp_path: Path) -> None:
    """A file with other content is looked at once; one that was only touched is not."""
    one = await bench(tmp_path)
    async with at_work(one):
        one.file.touch()
        await one.hints.follow()
        assert one.rotation.snapshot().last is None
        one.write(NEW)
        await one.hints.follow()
        assert one.changed
        await one.hints.follow()
    last = one.rotation.snapshot().last
    assert last is not None
    assert (last.cause, len(one.asked_with)) == ("a file changed", 1)


async def test_a_file_that_changed_before_the_start(tmp_path: Path) -> None:
    """What was written between reading the key and the first look is not missed."""
    one = await bench(tmp_path)
    one.write(NEW)
    async with at_work(one):
        await until(lambda: one.changed)


async def test_a_call_before_the_start_is_kept(tmp_path: Path) -> None:
    """SIGHUP may come while another process still owns the key."""
    one = await bench(tmp_path)
    one.rotation.call("SIGHUP")
    async with at_work(one):
        await until(lambda: one.rotation.snapshot().last)
    last = one.rotation.snapshot().last
    assert last is not None
    assert last.cause == "SIGHUP"


async def test_what_could_not_be_tried_is_tried_again(tmp_path: Path) -> None:
    """An API that could not be reached is asked again by itself, after a while."""
    one = await bench(tmp_path, BROKEN)
    async with at_work(one):
        one.write(NEW)
        await one.hints.follow()
        assert one.rotation.snapshot().last is not None
        await one.hints.follow()
        assert len(one.asked_with) == 1
        one.clock.ahead = AGAIN
        await one.hints.follow()
        assert one.changed
    assert len(one.asked_with) == 2


async def test_watching_may_fail(tmp_path: Path) -> None:
    """A system that cannot tell changes is said so; the key goes on."""
    one = await bench(tmp_path)

    hints = Hints()
    hints.trouble = OSError("inotify's table is full")
    hints.send()
    rotation = Rotation(
        InUse(one.key, "key.file", KeySource(env_file=tmp_path / ".env")),
        attempt=lambda key: ask_free_endpoint("http://127.0.0.1:9", key),
        clock=one.clock,
        on_change=lambda: None,
        hints=hints,
    )
    with heard() as logs:
        async with anyio.create_task_group() as tasks:
            await tasks.start(rotation.run)
            await logs.until("keys.watch_failed")
            tasks.cancel_scope.cancel()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["write", "replace", "link"])
async def test_real_file_events(tmp_path: Path, how: str) -> None:
    """Written in place, replaced, or behind a swapped link as in Kubernetes: it is seen."""
    one = await bench(tmp_path)
    keys = [OLD, NEW, THIRD]
    for number, key in enumerate(keys):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}" / "grok").write_text(key)
    if how == "link":
        (tmp_path / "..data").symlink_to("v0")
        one.file.unlink()
        one.file.symlink_to("..data/grok")
    source = KeySource(env_file=tmp_path / ".env", file=one.file)
    seen = await anyio.to_thread.run_sync(source.look)

    async def attempt(_: Key) -> Outcome:
        return Outcome(200, {}, b"{}", None, None)

    rotation = Rotation(
        InUse(one.key, "key.file", source, seen),
        attempt=attempt,
        clock=one.clock,
        on_change=lambda: one.changed.append("now"),
    )

    def change(number: int) -> None:
        if how == "write":
            one.write(keys[number])
        elif how == "replace":
            (tmp_path / "next").write_text(keys[number])
            (tmp_path / "next").replace(one.file)
        else:
            (tmp_path / "..next").symlink_to(f"v{number}")
            (tmp_path / "..next").replace(tmp_path / "..data")

    async with anyio.create_task_group() as tasks:
        await tasks.start(rotation.run)
        # The first may be seen by the look at the start already, the second only by its event.
        await until_noticed(partial(change, 1), lambda: len(one.changed) == 1)
        await until_noticed(partial(change, 2), lambda: len(one.changed) == 2)
        tasks.cancel_scope.cancel()
    assert one.key.fingerprint == fingerprint(SecretStr(THIRD))


# -- at the edge ----------------------------------------------------------------------------------


async def test_the_free_endpoint_is_asked_over_its_own_connection(free_port: int) -> None:
    """Without an API at the address the new key cannot be tried; nothing of it is shown."""
    outcome = await ask_free_endpoint(f"http://127.0.0.1:{free_port}/v1", Key(NEW))
    assert outcome.failure is not None
    assert NEW not in repr(outcome)


async def test_the_free_endpoint_gets_its_time_and_no_more() -> None:
    """An answer that comes byte by byte keeps nobody's next look waiting."""

    async def trickle(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
            with suppress(anyio.BrokenResourceError):
                while True:
                    await stream.send(b" ")

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, trickle)
        outcome = await ask_free_endpoint(f"http://127.0.0.1:{port}/v1", Key(NEW), patience=0.1)
        assert outcome.failure is not None
        assert outcome.failure.kind is FailureKind.TIMEOUT
        tasks.cancel_scope.cancel()


async def test_requests_under_way_end_with_the_old_key() -> None:
    """The key changes from one attempt to the next, never within one."""
    key, sent = Key(OLD), list[str]()
    gate = anyio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["authorization"])
        await gate.wait()
        return httpx.Response(200, content=completion())

    upstream = Upstream("https://api.test/v1", key, transport=httpx.MockTransport(answer))
    outcomes: list[Outcome] = []

    async def ask(name: str) -> None:
        outcomes.append(await upstream.send(Request(id=name, traffic_class="code", body=b"{}")))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "before")
        await until(lambda: sent)
        key.change(SecretStr(NEW))
        tasks.start_soon(ask, "after")
        await until(lambda: len(sent) == 2)
        gate.set()
    assert sent == [f"Bearer {OLD}", f"Bearer {NEW}"]
    assert [outcome.failure for outcome in outcomes] == [None, None]
    await upstream.aclose()
