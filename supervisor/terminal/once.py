"""One question, one answer, no conversation: for scripts and pipes.

Data goes to stdout, talk to stderr. The line about waiting is for a terminal only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal, TextIO

from supervisor.clock import Clock, SystemClock
from supervisor.errors import RequestError, SupervisorError
from supervisor.messages import Usage
from supervisor.terminal.answer import Answer
from supervisor.terminal.asking import Question, ask
from supervisor.terminal.clean import Cleaner, clean
from supervisor.terminal.house import House
from supervisor.terminal.session import Session
from supervisor.terminal.sessions import Sessions

Format = Literal["plain", "json", "streaming-json"]

_C1 = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


async def ask_once(
    house: House,
    text: str,
    *,
    session: Session,
    sessions: Sessions | None,
    form: Format = "plain",
    clock: Clock | None = None,
) -> None:
    """Ask one question and print the answer.

    Args:
        house: Who is asked.
        text: The question.
        session: What was said before, and who is asked.
        sessions: Where it is kept; None to keep nothing.
        form: `plain` text as it comes, one `json` document, or `streaming-json`: a document a line.
        clock: Tells the time; None for the machine's.

    Raises:
        NotRunning: No supervisor answers.
        RequestError: The answer is not whole; what there is of it has been printed.
        SupervisorError: There is no answer.
    """
    clock = clock or SystemClock()
    question = Question(session.model, session.messages(text), session.id)
    if sessions is not None:
        await sessions.asked(session, text)
    answer, printer = Answer(), _Printer(form)
    cut = "stopped"
    try:
        await ask(house, question, answer=answer, listener=printer, clock=clock)
        cut = answer.shortened
    except SupervisorError as error:
        cut = str(error)
        printer.fail(cut)
        raise
    finally:
        printer.waits("")
        if sessions is not None and not answer.is_empty:
            await sessions.answered(session, answer.exchange(text, cut=cut, at=clock.wall()))
    printer.end(answer, cut)
    if cut:
        raise RequestError(f"the answer ended early: {cut}")


class _Printer:
    """Prints in one of the forms."""

    def __init__(self, form: Format) -> None:
        self._form = form
        self._cleaner = Cleaner()
        self._last = ""
        self._status = _Status(sys.stderr)

    def waits(self, text: str) -> None:
        # Where the answer itself is seen to come, no line is needed about it.
        self._status.show("" if self._last else text)

    def says(self, piece: str) -> None:
        if self._form == "json":
            return
        self._status.show("")
        if self._form == "streaming-json":
            _print_document({"type": "text", "text": piece})
        else:
            self._write(self._cleaner.feed(piece))

    def fail(self, text: str) -> None:
        self._status.show("")
        if self._form == "plain":
            self._end_line()
        else:
            _print_document({"type": "error", "error": text})

    def end(self, answer: Answer, cut: str) -> None:
        if self._form == "plain":
            self._end_line()
            return
        whole = {} if self._form == "streaming-json" else {"text": answer.text}
        _print_document(
            {
                "type": "answer",
                **whole,
                "model": answer.model,
                "finish_reason": answer.finish or None,
                "whole": not cut,
                "usage": _usage(answer.usage),
            }
        )

    def _end_line(self) -> None:
        self._write(self._cleaner.rest())
        if self._last and self._last != "\n":
            self._write("\n")

    def _write(self, text: str) -> None:
        if text:
            self._last = text[-1]
            sys.stdout.write(text)
            sys.stdout.flush()


class _Status:
    """One line on stderr that goes away again; nothing where nobody looks."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._seen = stream.isatty()
        self._shown = False

    def show(self, text: str) -> None:
        if not self._seen or not (text or self._shown):
            return
        self._shown = bool(text)
        # The line must not wrap, or only its last part would be erased.
        with suppress(OSError):
            self._stream.write(f"\r\x1b[K{clean(text)[:70]}")
            self._stream.flush()


def _print_document(document: Mapping[str, Any]) -> None:
    """Print a document on one line; a terminal cannot be moved by what is in it."""
    text = json.dumps(document, ensure_ascii=False)
    # Half a surrogate pair is JSON, but no UTF-8.
    text = text.encode("utf-8", "backslashreplace").decode()
    print(text.translate(_C1), flush=True)


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.prompt,
        "cached_tokens": usage.cached,
        "completion_tokens": usage.completion,
        "reasoning_tokens": usage.reasoning,
        "cost_usd": None if usage.cost is None else float(usage.cost),
    }
