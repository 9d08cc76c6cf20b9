"""`ask`: one question, one answer."""

from __future__ import annotations

from functools import partial

import anyio

from supervisor.cli.place import HERE, Place
from supervisor.cli.question import Choice, once, read_question
from supervisor.errors import ConfigError
from supervisor.terminal.once import Format

_NOTHING = Choice()


def ask(
    *words: str,
    output_format: Format = "plain",
    choice: Choice = _NOTHING,
    place: Place = HERE,
) -> None:
    """Ask the model one question and print the answer.

    Args:
        words: The question; what comes on stdin stands behind it.
        output_format: plain, json (one document) or streaming-json (one a line).
        choice: Which session; without one, nothing is kept.
        place: Which supervisor.
    """
    settings = place.settings()
    text = read_question(" ".join(words) if words else None)
    if text is None:
        raise ConfigError(
            "expected a question, got: none", hint='ask "…", or give it on stdin; `chat` talks'
        )

    anyio.run(partial(once, settings, text, choice=choice, form=output_format))
