"""Whether files can be read at all, as JSON lines: `python syntax.py KIND FILE …`.

A program of its own, because it runs where all that nobody has read is looked at: in the sandbox.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any


def problem(kind: str, data: bytes) -> tuple[int, str] | None:
    """The line and the text of what is wrong with a file; None when it can be read.

    Args:
        kind: `python`, `json` or `toml`.
        data: The file.
    """
    try:
        _READERS[kind](data)
    except SyntaxError as error:
        return error.lineno or 1, error.msg
    except json.JSONDecodeError as error:
        return error.lineno, error.msg
    except (ValueError, RecursionError, MemoryError) as error:
        # tomllib tells the line in its text only; null bytes have none.
        place = re.search(r" \(at line (\d+), column \d+\)", str(error))
        text = str(error) or type(error).__name__
        return (int(place.group(1)), text[: place.start()]) if place else (1, text)
    return None


def _python(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ast.parse(data)


_READERS: dict[str, Callable[[bytes], Any]] = {
    "python": _python,
    "json": lambda data: json.loads(data.decode("utf-8-sig")),
    "toml": lambda data: tomllib.loads(data.decode("utf-8")),
}


def main(kind: str, *paths: str) -> None:
    """Print what is wrong with files.

    Args:
        kind: What they should be.
        paths: The files.
    """
    for path in paths:
        try:
            data = Path(path).read_bytes()
        except OSError:
            continue
        found = problem(kind, data)
        if found is not None:
            print(json.dumps({"file": path, "line": found[0], "text": found[1]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
