"""LiteLLM's proxy, the peer that most people would use: installed by the benchmark alone.

It gets a virtual environment of its own below `.bench/`, so that the project never depends on it.
Two of its releases were published by thieves of credentials in March 2026, one more in October,
and an unpinned install can meet the next. Hence: a release of before that, wheels only (nothing
is built, so nothing of it runs while it is installed), and an environment without anything worth
stealing.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.launch import KEY, ROOT, Running, started

VERSION = "1.105.0"

_HOME = ROOT / ".bench"
_PYTHON = _HOME / "litellm" / "bin" / "python"
_MARK = _HOME / f"litellm-{VERSION}.installed"
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_TIMEOUT = 1800.0


class NotInstalled(Exception):
    """pip could not install it; the text says why."""


def install() -> None:
    """Make sure that it is installed; takes minutes and 750 MB the first time.

    Raises:
        NotInstalled: It cannot be had.
    """
    if _MARK.exists():
        return
    _HOME.mkdir(exist_ok=True)
    (_HOME / ".gitignore").write_text("*\n")
    print(f"installing litellm[proxy]=={VERSION} into .bench/ (once, minutes)", file=sys.stderr)
    # pip may need a proxy's or an index's address from the environment, but none of its keys.
    environment = {name: text for name, text in os.environ.items() if not _SECRET.search(name)}
    commands = (
        [sys.executable, "-m", "venv", str(_HOME / "litellm")],
        [
            *(str(_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--only-binary=:all:", f"litellm[proxy]=={VERSION}"),
        ],
    )
    for command in commands:
        try:
            subprocess.run(
                command,
                cwd=_HOME,
                env=environment,
                check=True,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
            )
        except subprocess.CalledProcessError as error:
            words = [line for line in error.stderr.splitlines() if line.startswith("ERROR")]
            raise NotInstalled("; ".join(words[-2:]) or error.stderr[-300:]) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotInstalled(str(error)) from error
    _MARK.touch()


@contextmanager
def litellm(folder: Path, upstream: str, *, port: int, master_key: str) -> Generator[Running]:
    """The proxy as its own program, one worker, without a database, as its quick start has it.

    Args:
        folder: Where it runs.
        upstream: Base URL of the API.
        port: Where it listens.
        master_key: Its bearer token; it refuses weak ones.
    """
    config = {
        "model_list": [
            {
                "model_name": "grok-4.7",
                "litellm_params": {
                    "model": "openai/grok-4.7",
                    "api_base": f"{upstream}/v1",
                    "api_key": KEY,
                },
            }
        ]
    }
    # No line for every request: nobody else here writes one.
    logging = {"version": 1, "loggers": {"uvicorn.access": {"level": "ERROR"}}}
    (folder / "litellm.yaml").write_text(json.dumps(config))
    (folder / "logging.json").write_text(json.dumps(logging))
    command = [
        *(str(_PYTHON.with_name("litellm")), "--config", "litellm.yaml"),
        *("--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"),
        *("--log_config", "logging.json"),
    ]
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "LITELLM_MASTER_KEY": master_key,
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
    }
    # Whether it is ready, its URL tells; on stderr it says nothing that could be relied on.
    with started("litellm", command, ready="", folder=folder, environment=environment) as running:
        yield Running(running.name, f"http://127.0.0.1:{port}", running.pid, running.log, 0.0)


def new_master_key() -> str:
    """A bearer token that it takes."""
    return f"sk-{secrets.token_hex(32)}"
