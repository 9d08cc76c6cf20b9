"""`make demo`: a goal, a team, one key. Ends with 0 only if all of it happened.

A simulated API with scripted answers, a small repository with a failing test, and the goal "make
the tests pass and have it reviewed": ceo plans, memory finds, code mends in a worktree, the tests
pass, quality reviews, ceo reports. Meanwhile other work of memory's wants more than the key gives,
and a question in the chat is answered at once. In the middle the supervisor is killed and started
again, and nothing that was answered is asked a second time.

When this program itself is killed, its next run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from benchmarks.launch import ROOT
from examples.demo.stage import Stage
from examples.demo.story import Failed, Story


def main() -> int:
    """Tell the story.

    Returns:
        0 if all of it happened, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo", help="where it happens")
    folder: Path = parser.parse_args().folder.absolute()
    try:
        Story(Stage(folder)).tell()
    except KeyboardInterrupt:
        print("\nstopped; the next run goes on", file=sys.stderr)
        return 130
    except Failed as error:
        print(f"\nFAILED: {error}\nthe logs are in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
