"""Where events go: lines for people on a terminal, JSON elsewhere, and never a key in either."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Format = Literal["auto", "json", "console"]


def configure(level: str, form: Format, *, redact: Callable[[str], str]) -> None:
    """Set up structlog and the standard library's logging for this process.

    Args:
        level: The least important events to show.
        form: `console`, `json`, or `auto`: by whether stderr is a terminal.
        redact: Removes the key from a text.
    """
    console = sys.stderr.isatty() if form == "auto" else form == "console"
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if console
        else structlog.processors.JSONRenderer()
    )
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _Redactor(redact),
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", Unfailing(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


def redact_crashes(redact: Callable[[str], str]) -> None:
    """Keep the key out of what Python writes by itself.

    Those are the tracebacks of what nobody catches, in any thread or finalizer, and warnings.

    Args:
        redact: Removes the key from a text.
    """

    def tell(*raised: Any) -> None:
        if raised[0] is SystemExit:
            return
        text = "".join(traceback.format_exception(*raised))
        print(redact(text), end="", file=sys.stderr, flush=True)

    def tell_of_finalizer(told: sys.UnraisableHookArgs) -> None:
        print("nobody could be told of this:", file=sys.stderr)
        tell(told.exc_type, told.exc_value, told.exc_traceback)

    sys.excepthook = tell
    sys.unraisablehook = tell_of_finalizer
    threading.excepthook = lambda told: tell(*told[:3])
    logging.captureWarnings(capture=True)


class Unfailing:
    """A stream that may be lost: a log on a full disk, or into a pipe that is shut, stops nobody.

    Args:
        stream: Where to write.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write it if possible."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Let it out if possible."""
        with suppress(OSError):
            self._stream.flush()


class _Redactor:
    """Takes the key out of every value of an event, tracebacks included."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        return {self._redact(name): self._clean(value) for name, value in event.items()}

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redact(value)
        if isinstance(value, int | float | bool) or value is None:
            return value
        return self._redact(str(value))
