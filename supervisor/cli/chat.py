"""`chat`: a conversation in this terminal, or one question out of a script."""

from __future__ import annotations

import signal
import sys
from functools import partial
from types import FrameType
from typing import Annotated, NoReturn

import anyio
from cyclopts import Parameter

from supervisor.cli.flag import Flag
from supervisor.cli.output import talk
from supervisor.cli.place import HERE, Place
from supervisor.cli.question import Choice, once, person, read_question
from supervisor.config.settings import Settings
from supervisor.errors import ConfigError
from supervisor.terminal.house import house_of
from supervisor.terminal.once import Format
from supervisor.terminal.reports import sessions_text
from supervisor.terminal.sessions import Sessions

_NOTHING = Choice()
_SIGNALLED = 128


def chat(
    *,
    prompt: Annotated[
        str | None, Parameter(name=("--prompt", "-p"), allow_leading_hyphen=True)
    ] = None,
    plain: Flag = False,
    output_format: Format = "plain",
    choice: Choice = _NOTHING,
    place: Place = HERE,
) -> None:
    """Talk with the model in this terminal; with -p or a pipe, ask one question.

    Args:
        prompt: Ask only this, print the answer and end; what comes on stdin stands behind it.
        plain: Show markdown as it is written, as it comes, and no colours.
        output_format: Of one question: plain, json (one document), streaming-json (one a line).
        choice: Which session.
        place: Which supervisor.
    """
    settings = place.settings()
    if choice.lists:
        anyio.run(_list, settings)
        return
    text = read_question(prompt)
    if text is not None:
        anyio.run(partial(once, settings, text, choice=choice, form=output_format))
        return
    if output_format != "plain":
        raise ConfigError(
            f"expected a question for --output-format {output_format}, got: none",
            hint="give one with -p or on stdin",
        )
    if not sys.stdout.isatty():
        raise ConfigError(
            "expected a terminal to talk in, got: a stdout that is none",
            hint="ask one question with -p",
        )
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    anyio.run(partial(_converse, settings, choice, plain=plain))


async def _list(settings: Settings) -> None:
    sessions = Sessions(settings.store.chat)
    listed = await sessions.latest()
    if listed:
        print(sessions_text(listed))
    else:
        talk(f"there are no sessions in {sessions.folder}")


async def _converse(settings: Settings, choice: Choice, *, plain: bool) -> None:
    # prompt_toolkit and rich: one question does without.
    from prompt_toolkit.input import create_input  # noqa: PLC0415
    from prompt_toolkit.output import create_output  # noqa: PLC0415

    from supervisor.terminal.chat import converse  # noqa: PLC0415
    from supervisor.terminal.door import Door  # noqa: PLC0415

    sessions = Sessions(settings.store.chat)
    session = await choice.session(sessions, settings)
    house = house_of(settings)
    output = create_output()
    door = Door(
        input=create_input(),
        output=output,
        person=person(),
        local=True,
        columns=lambda: output.get_size().columns,
    )
    try:
        # Whoever is not there is better told before than after the first question.
        await house.get("/health")
        await converse(
            door, house, sessions=sessions, model=settings.model, session=session, plain=plain
        )
    finally:
        await house.aclose()


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C would, so that the terminal is left as it was found."""
    raise SystemExit(_SIGNALLED + number)
