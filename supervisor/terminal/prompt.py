"""The line at which a person types: keys, history, completion."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style

from supervisor.terminal.door import Door

_STYLE = Style.from_dict({"bottom-toolbar": "noreverse fg:ansibrightblack"})
_MENU = 5
"""Lines below the prompt that are kept free for the completions."""
MARK = "> "


def create_prompt(
    door: Door,
    *,
    completer: Completer,
    questions: Sequence[str],
    toolbar: Callable[[], str] | None,
) -> PromptSession[str]:
    """A prompt; it can be asked for one line after the other.

    Args:
        door: Where it is.
        completer: Knows what can come next.
        questions: What can be recalled, the oldest first.
        toolbar: What stands below; None for nothing.
    """
    return PromptSession(
        MARK,
        input=door.input,
        output=door.output,
        history=InMemoryHistory(questions),
        completer=completer,
        complete_while_typing=True,
        reserve_space_for_menu=_MENU,
        key_bindings=_keys(),
        multiline=True,
        prompt_continuation=" " * len(MARK),
        bottom_toolbar=toolbar,
        style=_STYLE,
        # Both would act on the machine of the supervisor where the person sits at another one.
        enable_open_in_editor=door.local,
        enable_suspend=door.local,
        tempfile_suffix=".md",
    )


async def read_line(prompt: PromptSession[str], draft: str) -> str:
    """One line, or several where Alt-Enter parts them.

    Args:
        prompt: Where it is typed.
        draft: What it begins with.

    Raises:
        EOFError: Ctrl-D, or the terminal is gone.
        KeyboardInterrupt: Ctrl-C on an empty line.
    """
    # Neither the process's signals nor the loop's error handler belong to one conversation.
    return await prompt.prompt_async(
        default=draft, handle_sigint=False, set_exception_handler=False
    )


def _keys() -> KeyBindings:
    keys = KeyBindings()
    typing = has_focus(DEFAULT_BUFFER)

    @keys.add("enter", filter=typing)
    def send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter", filter=typing)
    def part(event: KeyPressEvent) -> None:
        event.current_buffer.newline()

    @keys.add("c-c", filter=typing)
    def discard(event: KeyPressEvent) -> None:
        line = event.current_buffer
        if not line.text:
            event.app.exit(exception=KeyboardInterrupt)
            return
        # It can be recalled with Up.
        line.append_to_history()
        line.reset()

    return keys
