"""A crowd of clients that asks a given number of questions, a process of its own.

    echo '{"url": "http://127.0.0.1:8420", "requests": 1000}' | python -m benchmarks.crowd

It is light, for it shares the machine with whom it asks: requests are bytes made beforehand, and
of an answer nothing is kept but how it ended. Some clients leave before the answer has come, some
in the middle of a stream. Reads a plan as JSON from stdin; writes how many have ended every now
and then, as a JSON line, and at the end what they came to.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

_TELL = 0.25
"""Seconds between two lines."""
_SILENCE = 180.0
"""Seconds in which nothing has ended, after which nothing ever will."""
_SOONEST, _LATEST = 0.001, 0.06
"""Seconds after which somebody leaves who does not wait."""
_RETURN = 0.05
"""Seconds after a failed connection."""
_MENUS = 512
_TEXT = "Which of the two is larger, and by how much? "
_SIZES = (1, 4, 20, 90)
"""Sizes of questions, in repetitions of the text."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked.

    Attributes:
        url: Whom.
        requests: How often in all.
        in_flight: How many questions are under way at once.
        bearers: Who asks, and how often of a hundred questions.
        streamed: Of a hundred questions, those with a streamed answer.
        left: Of a hundred, those whose client leaves before the end.
        named: Of a hundred, those that carry an id of the client's own.
        hurried: Of a hundred, those with a deadline.
        seed: Chance repeats itself.
    """

    url: str
    requests: int
    in_flight: int = 48
    bearers: Mapping[str, int] = field(default_factory=lambda: {"gateway": 100})
    streamed: int = 20
    left: int = 5
    named: int = 10
    hurried: int = 10
    seed: int = 1


@dataclass(frozen=True, slots=True)
class _Shape:
    """A request as bytes: its head without the empty line at its end, and its body."""

    head: bytes
    body: bytes
    stream: bool
    leaves: bool
    named: bool


def _shapes(plan: Plan) -> list[_Shape]:
    dice = random.Random(plan.seed)
    host = urlsplit(plan.url).netloc
    names, weights = list(plan.bearers), list(plan.bearers.values())

    def chance(percent: int) -> bool:
        return dice.random() * 100 < percent

    def shape() -> _Shape:
        stream, responses = chance(plan.streamed), chance(15)
        text = _TEXT * dice.choice(_SIZES)
        question: dict[str, Any] = {"model": "grok-4.7", "stream": stream}
        if responses:
            question["input"] = text
        else:
            question["messages"] = [{"role": "user", "content": text}]
        body = json.dumps(question, separators=(",", ":")).encode()
        lines = [
            f"POST /v1/{'responses' if responses else 'chat/completions'} HTTP/1.1",
            f"host: {host}",
            f"authorization: Bearer {dice.choices(names, weights)[0]}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            *(["x-supervisor-deadline: 60s"] if chance(plan.hurried) else []),
        ]
        head = "\r\n".join(lines).encode()
        return _Shape(head, body, stream, leaves=chance(plan.left), named=chance(plan.named))

    return [shape() for _ in range(_MENUS)]


class _Crowd:
    """All clients, and what their questions came to."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ended = 0
        self.outcomes: Counter[str] = Counter()
        self.done = asyncio.Event()
        self._shapes = _shapes(plan)
        self._dice = random.Random(plan.seed + 1)
        self._asked = 0
        self._opening: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Let the first questions be asked."""
        for _ in range(min(self.plan.in_flight, self.plan.requests)):
            self.open()

    def next(self) -> tuple[_Shape, int] | None:
        """The next question and its number; None when all have been asked."""
        if self._asked == self.plan.requests:
            return None
        self._asked += 1
        return self._dice.choice(self._shapes), self._asked

    def patience(self) -> float:
        """Seconds after which somebody leaves."""
        return self._dice.uniform(_SOONEST, _LATEST)

    def over(self, outcome: str) -> None:
        """A question has ended."""
        self.outcomes[outcome] += 1
        self.ended += 1
        if self.ended == self.plan.requests:
            self.done.set()

    def open(self) -> None:
        """Let a client come that asks one question after the other."""
        task = asyncio.get_running_loop().create_task(self._connect())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        parts = urlsplit(self.plan.url)
        loop = asyncio.get_running_loop()
        while self._asked < self.plan.requests:
            try:
                host, port = parts.hostname or "", parts.port or 80
                await loop.create_connection(lambda: _Client(self), host, port)
            except OSError:
                await asyncio.sleep(_RETURN)
            else:
                return


class _Client(asyncio.Protocol):
    """A client with one connection; when it breaks, another one comes."""

    def __init__(self, crowd: _Crowd) -> None:
        self._crowd = crowd
        self._transport: asyncio.Transport | None = None
        self._shape: _Shape | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._told = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is none by its class.
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._shape is not None:
            # The end of a stream that broke off is a dropped connection, after an error event.
            what = "broke off" if self._shape.stream else "dropped"
            self._end(f"{what}, {'said why' if self._told else 'said nothing'}")
        self._transport = None
        self._crowd.open()

    # -- what the parser tells --

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-supervisor-error":
            self._told = True

    def on_body(self, body: bytes) -> None:
        shape = self._shape
        if shape is None:
            return
        if shape.stream:
            if shape.leaves:
                self._leave()
            elif b'"error"' in body:
                self._told = True

    def on_message_complete(self) -> None:
        if self._shape is None:
            return
        status = self._parser.get_status_code()
        typed = status == 200 or self._told
        self._end(str(status) if typed else f"{status}, said nothing")
        if not self._parser.should_keep_alive():
            self._drop()
        elif self._transport is not None:
            self._ask()

    # -- what it does --

    def _ask(self) -> None:
        assert self._transport is not None
        drawn = self._crowd.next()
        if drawn is None:
            self._drop()
            return
        shape, number = drawn
        self._shape, self._told = shape, False
        name = b"\r\nx-client-request-id: crowd-%d" % number if shape.named else b""
        self._transport.write(b"%b%b\r\n\r\n%b" % (shape.head, name, shape.body))
        if shape.leaves and not shape.stream:
            loop = asyncio.get_running_loop()
            self._leaving = loop.call_later(self._crowd.patience(), self._leave)

    def _end(self, outcome: str) -> None:
        self._shape = None
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        self._crowd.over(outcome)

    def _leave(self) -> None:
        self._end("left")
        self._drop()

    def _drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def _main(plan: Plan) -> dict[str, int]:
    crowd = _Crowd(plan)
    crowd.begin()
    loop = asyncio.get_running_loop()
    last, since = 0, loop.time()
    while not crowd.done.is_set():
        _tell({"ended": crowd.ended})
        if crowd.ended != last:
            last, since = crowd.ended, loop.time()
        elif loop.time() - since > _SILENCE:
            break
        try:
            await asyncio.wait_for(crowd.done.wait(), _TELL)
        except TimeoutError:
            continue
    never = plan.requests - crowd.ended
    return {**crowd.outcomes, **({"never ended": never} if never else {})}


def _tell(document: Mapping[str, Any]) -> None:
    print(json.dumps(document), flush=True)


def told(lines: Iterator[str]) -> Iterator[tuple[int, Counter[str]]]:
    """What a crowd tells, as it comes: how many have ended, and at last what they came to.

    Args:
        lines: Its stdout.
    """
    for line in lines:
        document: dict[str, Any] = json.loads(line)
        yield document["ended"], Counter(document.get("outcomes", {}))


def written(plan: Plan) -> str:
    """A plan for stdin."""
    return json.dumps(asdict(plan))


def main() -> None:
    """Carry out the plan on stdin."""
    # Quicker than asyncio's own loop, so that less of the two cores goes to the measuring.
    import uvloop  # noqa: PLC0415 - not there on every platform

    plan = Plan(**json.load(sys.stdin))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcomes = runner.run(_main(plan))
    _tell({"ended": sum(outcomes.values()), "outcomes": outcomes})


if __name__ == "__main__":
    main()
