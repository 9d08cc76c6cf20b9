"""The demonstration that a newcomer runs shows what it says, also when it is killed itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def demo(folder: Path) -> subprocess.Popen[str]:
    """`make demo` in a folder."""
    command = [sys.executable, "-m", "examples.demo", "--folder", str(folder)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_all_of_it_happens_over_a_kill(tmp_path: Path) -> None:
    """Killed in the middle, its next run goes on, and ends with 0 after all that it promises."""
    # As in a clone: a folder that the repository around it ignores.
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("/demo/\n")
    folder = tmp_path / "demo"
    first = demo(folder)
    assert first.stdout is not None
    for line in first.stdout:
        if "code     running" in line:
            break
    first.kill()
    first.wait()
    first.stdout.close()
    second = demo(folder)
    told, _ = second.communicate()
    assert second.returncode == 0, told
    assert "going on with what an earlier run has left" in told
    for who, what in (
        ("chat", "it waited"),
        ("kill -9", "in the middle of code's work"),
        ("ceo", "done: "),
        ("quality", "spans.py:15"),
        ("end", "all of it happened"),
    ):
        assert f"{who:<8} {what}" in told
    assert "over a limit 0, refused 0, asked again after an answer" in told
    assert not folder.exists()
