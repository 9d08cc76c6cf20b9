"""Renders markdown for a terminal: text in, text with colours out. Pure."""

from __future__ import annotations

import io
from collections.abc import Mapping

from prompt_toolkit.output import ColorDepth
from rich.console import Console
from rich.markdown import Markdown

_SYSTEMS: Mapping[ColorDepth, str] = {
    ColorDepth.DEPTH_4_BIT: "standard",
    ColorDepth.DEPTH_8_BIT: "256",
    ColorDepth.DEPTH_24_BIT: "truecolor",
}
_NARROWEST = 20


def render(text: str, *, columns: int, depth: ColorDepth) -> str:
    """One block of markdown as it is to be shown, with a line feed at its end.

    Args:
        text: Clean markdown: what is in it is taken at its word.
        columns: Width of the terminal.
        depth: Which colours it has.
    """
    sink = io.StringIO()
    # A fresh one each time: the terminal may have another width by now, and another person may
    # sit at it. Nothing is taken from this process's own environment.
    console = Console(
        file=sink,
        width=max(_NARROWEST, columns),
        force_terminal=True,
        color_system=_SYSTEMS.get(depth),  # type: ignore[arg-type]  # rich names them as literals
        no_color=depth is ColorDepth.DEPTH_1_BIT,
        legacy_windows=False,
        emoji=False,
        _environ={},
    )
    console.print(Markdown(text, hyperlinks=False, code_theme="ansi_dark"))
    return sink.getvalue()
