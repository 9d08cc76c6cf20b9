"""Keeps this process's memory to itself: the API key lies in it, and at first in its environment.

Other processes of the same user may read `/proc/PID/environ` and attach as a debugger, and a crash
writes a core; a model's commands run as the same user where there is no bubblewrap. Linux has a
flag against all three. (root reads the memory all the same; the environment is wiped.)
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterable

_PR_SET_DUMPABLE = 4


def keep_private() -> bool:
    """Shut this process off from others of the same user, and let no crash write a core.

    Returns:
        Whether this system can do it.
    """
    _write_no_core()
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)


def forget_variables(names: Iterable[str]) -> None:
    """Take variables out of this process's environment.

    Afterwards no child inherits them, nothing in this process finds them in `os.environ`, and
    `/proc/PID/environ` has zeros in place of their values.
    """
    for name in names:
        if name in os.environ:
            _wipe(name)
            del os.environ[name]


def _wipe(name: str) -> None:
    """Overwrite a variable where the system put it: unsetting it leaves the bytes there."""
    if sys.platform == "win32":
        return
    getenv = ctypes.CDLL(None).getenv
    getenv.argtypes, getenv.restype = (ctypes.c_char_p,), ctypes.c_void_p
    place: int | None = getenv(os.fsencode(name))
    if place:
        ctypes.memset(place, 0, len(ctypes.string_at(place)))


def _write_no_core() -> None:
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not everywhere

    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    # Some containers forbid even this; the flag above it is enough where there is one.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, most))
