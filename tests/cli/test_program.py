"""The program as a shell sees it: exit codes, streams, signals, and what it loads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import anyio
import httpx
import pytest
from anyio import to_thread

from supervisor.cli import main
from supervisor.cli.exits import exit_code
from supervisor.errors import (
    ConfigError,
    InvalidJobInput,
    InvalidRequest,
    JobFailed,
    NotRunning,
    StoreError,
    SupervisorError,
    UnknownRole,
)
from tests.waiting import until
from tests.web.house import KEY, beside, open_house, served

ROOT = Path(__file__).parents[2]
HEAVY = (
    "aiohttp", "anyio", "dbos", "fastapi", "httpx", "markdown_it", "orjson", "prompt_toolkit",
    "sqlalchemy", "starlette", "structlog", "uvicorn", "watchfiles",
)  # fmt: skip
Capture = pytest.CaptureFixture[str]


def _environment(**more: str) -> Mapping[str, str]:
    # A supervisor that somebody runs beside the tests is not asked: nobody listens on port 1.
    return {**os.environ, "PYTHONPATH": str(ROOT), "SUPERVISOR__WEB__PORT": "1", **more}


def _run(*words: str, code: str = "") -> subprocess.CompletedProcess[str]:
    start = ["-c", code] if code else ["-m", "supervisor"]
    return subprocess.run(
        [sys.executable, *start, *words],
        env=_environment(),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=15,
        check=False,
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SupervisorError("x"), 1),
        (StoreError("x"), 1),
        (JobFailed("x"), 1),
        (ConfigError("x"), 2),
        (InvalidRequest("x"), 2),
        (InvalidJobInput("x"), 2),
        (NotRunning("x"), 3),
        (UnknownRole("x"), 4),
    ],
)
def test_exit_codes(error: SupervisorError, code: int) -> None:
    """Scripts can tell failure, wrong configuration, not running and unknown role apart."""
    assert exit_code(error) == code


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["statsu"], 'did you mean "status"?'),
        (["xyzzy"], "there are: init, run, simulate"),
        (["status", "--bogus"], "--bogus"),
        (["submit"], "ROLE"),
        (["run", "--port", "abc"], '"abc"'),
        (["jobs", "frob"], "frob"),
        (["search"], "expected words to look for, got: none"),
        (["search", "", " "], "expected words to look for, got: none"),
        (["status", "--config", "missing.toml"], "missing.toml"),
        (["status", "--set", "web.prt=1"], 'did you mean "port"?'),
        (["run", "--host", "0.0.0.0", "--simulate"], "SUPERVISOR_TOKEN"),
        (["run"], "GROK_API_KEY"),
        (["simulate", "--kind", "guess"], "guess"),
        (["simulate", "--limit", "100 rpm"], "100 rpm"),
        (["simulate", "--option", "seed"], 'got: "seed"'),
        (["simulate", "--option", "faults.capacty=0.1"], "capacity"),
    ],
)
def test_wrong_usage_exits_with_2(words: list[str], text: str, capsys: Capture) -> None:
    """Wrong words and a wrong configuration are one line on stderr and exit code 2."""
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert text in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("command", ["status", "jobs", "usage", "models", "resume", "ask hello"])
def test_not_running_exits_with_3(command: str, free_port: int, capsys: Capture) -> None:
    """Where nobody answers, the command says where it looked and how to start one."""
    assert main([*command.split(), "--set", f"web.port={free_port}"]) == 3
    captured = capsys.readouterr()
    assert f"127.0.0.1:{free_port}" in captured.err
    assert "python -m supervisor run" in captured.err


@pytest.mark.anyio
async def test_something_else_on_the_port_is_not_a_supervisor(capsys: Capture) -> None:
    """A server that is no supervisor is told from one that does not run."""

    async def handle(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, beside(partial(listener.serve, handle)):
        words = ["status", "--set", f"web.port={port}"]
        code = await to_thread.run_sync(main, words)
    assert code == 3
    assert "something else than a supervisor" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], ["status", "--help"], ["--version"], ["version"]])
def test_help_and_version_go_to_stdout(words: list[str], capsys: Capture) -> None:
    """Help and version are data: on stdout, with exit code 0."""
    assert main(words) == 0
    captured = capsys.readouterr()
    assert captured.out
    assert captured.err == ""


def test_help_lists_every_command(capsys: Capture) -> None:
    """The help names every command of the contract that this version has."""
    main(["--help"])
    out = capsys.readouterr().out
    names = (
        "init", "run", "simulate", "submit", "jobs", "status", "start", "stop", "restart", "reload",
        "pause", "resume", "usage", "models", "doctor", "version", "chat", "ask",
    )  # fmt: skip
    assert [name for name in names if f" {name} " not in out] == []


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--help"], ["version"], ["status"], ["submit", "x", "y"]])
def test_light_commands_load_little(words: list[str]) -> None:
    """Help, status and submit load neither the server nor the engine of jobs nor an HTTP client."""
    code = (
        "import sys; from supervisor.cli import main; main(sys.argv[1:]);"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    assert _run(*words, code=code).stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_one_question_loads_no_terminal() -> None:
    """Who asks out of a script waits for neither line editing nor markdown, nor for the server."""
    code = (
        "import sys; from supervisor.cli import main; main(['ask', 'x', '--set', 'web.port=1']);"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    assert _run(code=code).stdout.splitlines()[-1] == "['anyio', 'httpx', 'orjson']"


@pytest.mark.slow
def test_exit_code_reaches_the_shell() -> None:
    """`python -m supervisor` ends with the command's exit code."""
    assert _run("statsu").returncode == 2


@pytest.mark.slow
def test_broken_pipe_is_no_traceback() -> None:
    """A reader that has seen enough ends the program quietly."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as nowhere:
        done = subprocess.run(
            [sys.executable, "-m", "supervisor", "version"],
            env=_environment(),
            stdout=nowhere,
            stderr=subprocess.PIPE,
            text=True,
            timeout=15,
            check=False,
        )
    assert done.returncode == 141
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.anyio
async def test_simulator_answers_and_reports() -> None:
    """The simulator tells its address, speaks the API, and prints the judge's report at the end."""
    options = ["--port", "0", "--limit", "5 requests / minute", "--option", "faults.capacity=0"]
    words = ["simulate", *options, "--seed", "3"]
    process = await anyio.open_process(
        [sys.executable, "-m", "supervisor", *words], env=_environment()
    )
    async with process:
        assert process.stdout is not None
        assert process.stderr is not None
        base = (await process.stderr.receive()).decode()
        while "http://" not in base:
            base += (await process.stderr.receive()).decode()
        url = next(word for word in base.split() if word.startswith("http://"))
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}) as client:
            models = await client.get(f"{url}/models")
        process.send_signal(signal.SIGINT)
        report = json.loads(b"".join([piece async for piece in process.stdout]))
        code = await process.wait()
    assert models.json()["data"][0]["id"] == "grok-4.7"
    assert code == 0
    assert report["attempts"] == 0


@pytest.mark.slow
@pytest.mark.anyio
async def test_interrupted_wait_tells_where_the_job_is() -> None:
    """Ctrl-C while waiting exits with 130, and says that the job goes on."""
    async with open_house() as house, served(house) as port:
        words = ["submit", "quality", "x", "--set", f"web.port={port}"]
        process = await anyio.open_process(
            [sys.executable, "-m", "supervisor", *words], env=_environment()
        )
        async with process:
            await until(lambda: house.jobs.watchers)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            said = b"".join([piece async for piece in process.stderr])
            code = await process.wait()
    assert code == 130
    assert b"job j1 goes on" in said
    assert b"Traceback" not in said
