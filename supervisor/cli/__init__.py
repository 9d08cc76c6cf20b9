"""How does a person talk to it? Commands: parse, call, print. Importing this loads nothing."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after `python -m supervisor`; None for this process's own.

    Returns:
        The exit code.
    """
    # Whoever imports this package for one of its parts must not pay for the parser.
    from supervisor.cli.program import run_command  # noqa: PLC0415

    return run_command(arguments)
