"""The running supervisor, as a program outside sees it: over HTTP, and by its command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from benchmarks.launch import ROOT, Running, python_environment

T = TypeVar("T")

_PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Team:
    """The supervisor.

    Attributes:
        process: Its process.
    """

    process: Running

    def get(self, path: str) -> Any:
        """The document at a path."""
        with urllib.request.urlopen(f"{self.process.url}{path}", timeout=_PATIENCE) as response:
            return json.load(response)

    def submit(self, role: str, value: object, *, key: str) -> str:
        """Hand a job in; the same key is the same job. Its id."""
        body = json.dumps({"role": role, "input": value, "key": key}).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.process.url}/api/jobs", body, headers)
        with urllib.request.urlopen(request, timeout=_PATIENCE) as response:
            return str(json.load(response)["id"])

    def job(self, id: str) -> dict[str, Any]:
        """A job as it stands."""
        document: dict[str, Any] = self.get(f"/api/jobs/{id}")
        return document

    def below(self, id: str) -> dict[str, dict[str, Any]]:
        """The jobs that a job has delegated, by role."""
        listed = self.get("/api/jobs?limit=100")["jobs"]
        return {job["role"]: job for job in listed if job["parent"] == id}

    def waiting(self, role: str) -> int:
        """How many requests of a role wait."""
        return int(self.get("/health")["roles"][role]["queued"])

    def chat(self, question: str) -> tuple[str, float]:
        """Ask in the terminal's way, in one shot.

        Returns:
            The answer, and the seconds that it waited for its turn at most so far.

        Raises:
            RuntimeError: It was not answered.
        """
        port = self.process.url.rpartition(":")[2]
        command = [sys.executable, "-m", "supervisor", "chat", "-p", question]
        done = subprocess.run(
            [*command, "--set", f"web.port={port}"],
            cwd=ROOT,
            env=python_environment(),
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"chat ended with {done.returncode}: {done.stderr}")
        waits = self.get("/health")["clients"]["chat"]["waits"]
        return done.stdout.strip(), float(waits["p99_s"])

    def kill(self) -> None:
        """End it without a word, as the system does when memory runs out."""
        os.kill(self.process.pid, signal.SIGKILL)

    def until(self, what: Callable[[], T], *, seconds: float, wanted: str) -> T:
        """The first value that is true of a function, looked at ten times a second.

        Args:
            what: The function.
            seconds: How long to look.
            wanted: What is waited for, in words.

        Raises:
            TimeoutError: There was none.
        """
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            if value := what():
                return value
            time.sleep(0.1)
        raise TimeoutError(f"expected {wanted} within {seconds:g} s")
