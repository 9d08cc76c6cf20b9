"""`python -m supervisor`."""

from __future__ import annotations

import sys

_INTERRUPTED = 130

if __name__ == "__main__":
    try:
        # Inside, since Ctrl-C may come while it is being loaded.
        from supervisor.cli import main

        code = main()
    except KeyboardInterrupt:
        code = _INTERRUPTED
    sys.exit(code)
