"""What goes where: one JSON document to stdout, words for the person to stderr."""

from __future__ import annotations

import json
import sys


def print_json(document: object) -> None:
    """Print one JSON document on stdout."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def talk(text: str) -> None:
    """Say something to the person; data goes to stdout."""
    print(text, file=sys.stderr, flush=True)
