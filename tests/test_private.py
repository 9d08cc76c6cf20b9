"""The process that holds the key keeps its memory to itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = """
from supervisor.private import keep_private
print(keep_private())
import ctypes
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


SECRET = "xai-test-planted-not-a-real-key-7f3a"
FORGETFUL = """
from supervisor.private import forget_variables
forget_variables(["XAI_API_KEY", "NOT_THERE"])
import os, subprocess, sys
show = "import os; print(dict(os.environ))"
print(dict(os.environ), os.getenvb(b"XAI_API_KEY"), os.environ["OTHER"])
print(subprocess.run([sys.executable, "-c", show], capture_output=True, text=True).stdout)
print(open("/proc/self/environ", errors="replace").read())
print(open(f"/proc/{os.getppid()}/environ", errors="replace").read() and "end")
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a flag of Linux")
def test_no_core_and_no_neighbour() -> None:
    """Once it is private the kernel calls the process not dumpable."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "0"]


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_forgotten_variable_is_nowhere() -> None:
    """Neither this process, nor its children, nor /proc has it; other variables stay."""
    done = subprocess.run(
        [sys.executable, "-c", FORGETFUL],
        cwd=ROOT,
        env={"XAI_API_KEY": SECRET, "OTHER": "stays", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.rstrip().endswith("end")
    assert "stays" in done.stdout
    assert SECRET not in done.stdout
    assert "test-planted" not in done.stdout
