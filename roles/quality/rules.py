"""Which of ruff's rules mean a bug, and how bad it is. All others are style, and are not told."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .review import Severity

_GRAVE = ("E9", "F404", "F407", "F50", "F52", "F6", "F7", "F82", "F9", "PLE", "PLW1501", "RUF016")
_DOUBTFUL = (
    *("E722", "W605", "F402", "F811", "B", "S", "ASYNC", "PLW0127", "PLW0128", "PLW0129"),
    *("PLW0133", "PLW0177", "PLW0711", "RUF006", "RUF008", "RUF009", "RUF018", "RUF024"),
)
_MINOR = ("F841", "S311", "BLE001", "DTZ")
_STYLE = (
    "E902",  # no rule was broken: a file could not be opened
    # Unused loop variables, constant attributes, assert False, tuples of one, missing stacklevel
    # and strict, classes that are only data.
    *("B007", "B009", "B010", "B011", "B013", "B028", "B903", "B905", "B911", "B912"),
    # Asserts, imports of what can be used well, every subprocess there is.
    *("S101", "S4", "S603", "S606", "S607"),
    *("ASYNC109", "ASYNC115", "ASYNC116"),
)
_SEVERITIES: Mapping[str, Severity | None] = {
    **dict.fromkeys(_GRAVE, Severity.ERROR),
    **dict.fromkeys(_DOUBTFUL, Severity.WARNING),
    **dict.fromkeys(_MINOR, Severity.NOTE),
    **dict.fromkeys(_STYLE),
}
"""By beginnings of their codes; the longest that fits holds."""


def severity_of(code: str) -> Severity | None:
    """How bad it is when a rule is broken; None for style.

    Args:
        code: The rule, such as `F821`.
    """
    letters = re.match(r"[A-Z]+", code)
    for length in range(len(code), letters.end() - 1 if letters else 0, -1):
        if code[:length] in _SEVERITIES:
            return _SEVERITIES[code[:length]]
    return None
