"""Keeps this process's memory to itself: the API key lies in it, and in its environment.

Other processes of the same user may read `/proc/PID/environ` and attach as a debugger, and a crash
writes a core; a model's commands run as the same user where there is no bubblewrap. Linux has a
flag against all three. (root reads everything all the same.)
"""

from __future__ import annotations

import ctypes
import sys

_PR_SET_DUMPABLE = 4


def keep_private() -> bool:
    """Shut this process off from others of the same user.

    Returns:
        Whether this system can do it.
    """
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
