"""`python -m benchmarks`: all benchmarks one after the other, or those that are named.

    python -m benchmarks
    python -m benchmarks policy process

About an hour, half of it the soak; each can be run by itself with options of its own, see
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from benchmarks.launch import ROOT

_ALL = (
    *("policy", "scheduler_cost", "realtime", "faults", "gateway", "process", "jobs"),
    *("restarts", "ledger", "soak"),
)


def main() -> int:
    """Run them, each in a process of its own, so that none warms another up.

    Returns:
        1 if a "must" of any does not hold.
    """
    parser = argparse.ArgumentParser(description="All benchmarks, or those that are named.")
    parser.add_argument("names", nargs="*", choices=[*_ALL, []], metavar="NAME", help=str(_ALL))
    failed: list[str] = []
    for name in parser.parse_args().names or _ALL:
        print(f"\n== {name}", flush=True)
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT, check=False)
        if done.returncode:
            failed.append(name)
    print(f"\n{'did not hold: ' + ', '.join(failed) if failed else 'every must holds'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
