"""Names of files as a diff writes them: quoted, with a prefix, with a date behind them."""

from __future__ import annotations

import re

NOWHERE = "/dev/null"

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_LETTERS = dict(zip(b"abfnrtv", b"\a\b\f\n\r\t\v", strict=True))
_PREFIXED = re.compile(r"[abciow12]/")
"""`a/` and `b/`, and what git writes instead where it is told to."""


def plain_name(text: str) -> str:
    """A name without quotes, and without the date that may follow it.

    Args:
        text: What stands behind `---`, `+++`, `rename to` …
    """
    quoted = _QUOTED.match(text)
    if quoted is None:
        return text.partition("\t")[0]
    inner = quoted.group()[1:-1].encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(_unescaped, inner).decode("utf-8", "replace")


def _unescaped(escape: re.Match[bytes]) -> bytes:
    what = escape.group(1)
    if len(what) == 3:
        return bytes([int(what, 8) & 0xFF])
    return bytes([_LETTERS.get(what[0], what[0])])


def without_prefixes(old: str, new: str, *, bare: bool = False) -> tuple[str, str]:
    """Two names of one file as they are called in the project.

    Args:
        old: Its name before.
        new: Its name after.
        bare: Whether they are known to have no prefix.
    """
    names = [name for name in (old, new) if name != NOWHERE]
    prefixed = all(_PREFIXED.match(name) for name in names)
    # Both the same: a folder that happens to be called so.
    same = len(names) == 2 and names[0][:2] == names[1][:2]
    if bare or same or not prefixed:
        return old, new
    return (old if old == NOWHERE else old[2:]), (new if new == NOWHERE else new[2:])


def names_in_header(text: str) -> tuple[str, str, bool]:
    """The two names behind `diff --git`, and whether they are known to have no prefix.

    Only names that are equal, but for their prefix, can be told apart where they hold spaces;
    git writes all others a second time.

    Args:
        text: What follows `diff --git `.
    """
    quoted = _QUOTED.match(text)
    if quoted is not None:
        first, rest = quoted.group(), text[quoted.end() :].strip()
    else:
        half = len(text) // 2
        first, rest = text[:half], text[half + 1 :]
    return plain_name(first), plain_name(rest), first == rest
