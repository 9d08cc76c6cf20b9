"""The list of commands, and what becomes of their errors.

Each command lives in a module of its own that is imported only when it runs: `--help` and
`status` must answer at once, and `run` alone needs what it takes a second to load.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, UnknownCommandError, UnusedCliTokensError

from supervisor.cli.exits import BROKEN_PIPE, INTERRUPTED, OK, USAGE, exit_code
from supervisor.errors import SupervisorError

_COMMANDS = (
    ("init", "init:init", "Make a project: settings, roles, and what a deployment needs."),
    ("run", "run:run", "Run the supervisor until SIGTERM or Ctrl-C."),
    ("simulate", "simulate:simulate", "Run a simulated Grok API on this machine."),
    ("submit", "submit:submit", "Give a job to a role and print its result."),
    ("review", "review:review", "Review a diff, a range of commits, or a code job's branch."),
    ("jobs", "jobs:jobs", "List jobs; show, cancel or retry one."),
    ("schedules", "schedules:schedules", "List schedules; run one now."),
    ("chat", "chat:chat", "Talk with the model in this terminal."),
    ("ask", "ask:ask", "Ask the model one question and print the answer."),
    ("status", "status:status", "Show roles, queue and quota."),
    ("start", "roles:start", "Start a role that was stopped or has failed."),
    ("stop", "roles:stop", "Stop a role; its jobs wait."),
    ("restart", "roles:restart", "Restart a role with a fresh restart budget."),
    ("reload", "roles:reload", "Read a role's file again."),
    ("pause", "brake:pause", "Send nothing until resumed; requests go on queueing."),
    ("resume", "brake:resume", "Send again."),
    ("search", "search:search", "Find passages of the indexed folders."),
    ("index", "search:index", "Index a folder or a git repository."),
    ("sources", "sources:sources", "List the indexed folders; forget one."),
    ("usage", "usage:usage", "Show tokens and money by day, role and model."),
    ("models", "models:models", "List the models that the API offers."),
    ("keys", "keys:keys", "Show where the key comes from; use a new one without a restart."),
    ("doctor", "doctor:doctor", "Check this installation; read-only."),
    ("version", "version:version", "Print the version."),
)


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Parse and run one command.

    Args:
        arguments: The words after `python -m supervisor`; None for this process's own.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = program()(words, exit_on_error=False, print_error=False)
        # A pipe that broke shows when the buffer is written out; here it can still be handled.
        sys.stdout.flush()
    except CycloptsError as error:
        _say(f"error: {_plain(error)}")
        return USAGE
    except SupervisorError as error:
        _say(f"error: {error}")
        return exit_code(error)
    except BrokenPipeError:
        _close_stdout()
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    return code if isinstance(code, int) else OK


def program() -> App:
    """The command line; nothing is imported for its commands yet."""
    app = App(
        name="python -m supervisor",
        help="One process owns one LLM API key and runs a team of AI worker roles on it.",
        usage="Usage: python -m supervisor COMMAND [ARGUMENTS]",
        version=_version,
        version_flags=("--version",),
        help_format="plaintext",
        result_action="return_value",
        suppress_keyboard_interrupt=False,
        help_epilogue=(
            "Exit codes: 0 done, 1 failure, 2 usage or configuration, 3 not running, 4 unknown role"
        ),
    )
    for name, target, help_text in _COMMANDS:
        app.command(f"supervisor.cli.{target}", name=name, help=help_text)
    return app


def _version() -> str:
    # A chain of imports for one line of text that only this needs.
    from supervisor.web.version import version  # noqa: PLC0415

    return version()


def _plain(error: CycloptsError) -> str:
    if isinstance(error, UnknownCommandError):
        # cyclopts' own text would import every command to see what it has.
        return _unknown_command(error.unused_tokens[0] if error.unused_tokens else "")
    if isinstance(error, UnusedCliTokensError):
        return f"unexpected: {' '.join(error.unused_tokens or ())} (see --help)"
    return " ".join(str(error).split())


def _unknown_command(word: str) -> str:
    names = [name for name, _, _ in _COMMANDS]
    near = difflib.get_close_matches(word, names, n=1)
    guess = f'did you mean "{near[0]}"? ' if near else ""
    return f'no command is called "{word}" ({guess}there are: {", ".join(names)})'


def _say(text: str) -> None:
    # It comes with all of the settings, which only who has something to say needs.
    from supervisor.config.report import without_keys  # noqa: PLC0415

    # Whoever closed stderr does not want to hear it.
    with contextlib.suppress(BrokenPipeError):
        # An option that is none, or a wrong value of one, may be a key that was pasted.
        print(without_keys(text), file=sys.stderr, flush=True)


def _close_stdout() -> None:
    """Let the interpreter's last flush go nowhere instead of complaining."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
