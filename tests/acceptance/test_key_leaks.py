"""A planted key is in no output, no file, no child and no crash, whatever goes wrong."""

from __future__ import annotations

import json
import resource
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.acceptance.planted import Evidence, forms
from tests.acceptance.processes import Process, ran, simulator, supervisor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

KEY = "xai-planted-Zq7RkW2vBx9NmT4pLd8Jc5Hf"
NEXT = "xai-rotated-Gs3YuE6tAo1QiP8zXn0MbVk"
RIGHT = "xai-test-the-right-one-not-a-real-key"
CHAT = "/v1/chat/completions"
BODY = {"model": "grok-4.7", "messages": [{"role": "user", "content": "hello"}]}
FAULTS = ("html_error", "server_error", "cut", "cut_stream", "stream_error", "stall_stream")

CURIOUS = """
import os
from pathlib import Path

from supervisor import Context, Role

LOOK = "env; cat /proc/$PPID/environ /proc/self/environ; ps eww -p $PPID; cat /proc/$PPID/cmdline"


class Curious(Role[str, str]):
    async def handle(self, job: str, ctx: Context) -> str:
        if job == "environ":
            print(dict(os.environ), os.environb, flush=True)
            block = Path("/proc/self/environ").read_bytes()
            return repr(dict(os.environ)) + block.decode("latin-1")
        if job == "command":
            ran = await ctx.sandbox.run(LOOK, folder=ctx.folder)
            ctx.log.info("curious.ran", output=ran.output)
            return ran.output
        return (await ctx.ask(job)).text
"""
CRASHING = """
from pathlib import Path

from supervisor import Context, Role


class Crashing(Role[str, str]):
    async def handle(self, job: str, ctx: Context) -> str:
        found = Path(job).read_text().strip()
        headers = {"authorization": f"Bearer {found}"}
        try:
            raise ValueError(f"cannot go with {headers}")
        except ValueError as error:
            raise RuntimeError(found) from error
"""
LEAVING = """
import sys
import warnings
from pathlib import Path

from supervisor import Context, Role


class Late:
    def __init__(self, found):
        self.found = found

    def __del__(self):
        raise ValueError(self.found)


class Leaving(Role[str, str]):
    async def handle(self, job: str, ctx: Context) -> str:
        found = Path(job).read_text().strip()
        warnings.warn(found)
        Late(found)
        ctx.log.info("leaving.left", **{found: 1})
        sys.exit(found)
"""
BROKEN = """
import os
from supervisor import Role
raise ValueError(f"no role: {dict(os.environ)}")
"""


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Processes that are started may write cores of any size, and tell how they crashed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    monkeypatch.setenv("PYTHONFAULTHANDLER", "1")
    yield
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def prepare(folder: Path) -> Path:
    """The roles, and the secret file outside of what is searched."""
    (folder / "roles").mkdir()
    for name, code in (("curious", CURIOUS), ("crashing", CRASHING), ("leaving", LEAVING)):
        (folder / "roles" / f"{name}.py").write_text(code)
    (folder / "roles" / "broken.py").write_text(BROKEN)
    secret = folder / "secret"
    secret.write_text(KEY)
    secret.chmod(0o600)
    return secret


def command(evidence: Evidence, folder: Path, *words: str, key: str = "") -> int:
    """Run a command to its end and keep what it printed; its exit code."""
    done = ran(*words, folder=folder, key="", **({"GROK_API_KEY": key} if key else {}))
    evidence.add(f"stdout of {words}", done.stdout)
    evidence.add(f"stderr of {words}", done.stderr)
    return done.returncode


def provoke_the_api(evidence: Evidence, api: Process, house: Process) -> None:
    """Have the API refuse and break in every way it knows, for every endpoint."""

    def behave(**settings: object) -> None:
        api.post("/_simulator/settings", settings)
        house.post("/api/resume", {})

    def ask() -> None:
        # What an outage holds back is given up soon: it has been refused by then.
        headers = {"x-supervisor-deadline": "1s"}
        for stream in (False, True):
            body = json.dumps({**BODY, "stream": stream})
            evidence.fetch(house.base, "POST", CHAT, body=body, headers=headers)
        plain = json.dumps({"model": "grok-4.7", "input": "hello"})
        evidence.fetch(house.base, "POST", "/v1/responses", body=plain, headers=headers)

    for settings in (
        {"key": RIGHT, "echo_key": True},
        {"key": KEY, "echo_key": False, "account": "no_credits"},
        {"account": "key_blocked"},
        {"account": "team_blocked"},
    ):
        behave(**settings)
        ask()
        evidence.fetch(house.base, "GET", "/v1/models")
    behave(account="open")
    for fault in FAULTS:
        behave(faults={**dict.fromkeys(FAULTS, 0.0), fault: 1.0, "stall": "50ms"})
        ask()
    behave(faults=dict.fromkeys(FAULTS, 0.0), latency="2s")
    evidence.fetch(house.base, "POST", CHAT, body=json.dumps(BODY))
    behave(latency="0s")


def provoke_the_door(evidence: Evidence, house: Process) -> None:
    """Call with the key where something else belongs, as people do who mix keys up."""
    wrong = json.dumps({"model": KEY, "messages": 5})
    for headers in (
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"Bearer {KEY} {KEY}"},
        {"x-api-key": KEY},
    ):
        evidence.fetch(house.base, "POST", CHAT, body=json.dumps(BODY), headers=headers)
        evidence.fetch(house.base, "GET", "/api/keys", headers=headers)
    evidence.fetch(house.base, "POST", CHAT, body="{nope")
    evidence.fetch(house.base, "POST", CHAT, body=wrong)
    job = {"role": "curious", "input": "hello", "key": f"nightly {KEY}"}
    evidence.fetch(house.base, "POST", "/api/jobs", body=json.dumps(job))
    for reason in (f"it is {KEY}", "x" * 180 + KEY):
        evidence.fetch(house.base, "POST", "/api/pause", body=json.dumps({"reason": reason}))
        for path in ("/health", "/api/queue", "/api/stats", "/readyz"):
            evidence.fetch(house.base, "GET", path)
    assert b"it is ***" in evidence.found["GET /health"]
    evidence.fetch(house.base, "POST", "/api/resume")
    evidence.fetch(house.base, "POST", CHAT, body=wrong, headers={"x-supervisor-role": KEY})
    job = {"role": KEY, "input": "hello"}
    evidence.fetch(house.base, "POST", "/api/jobs", body=json.dumps(job))
    for place in ("/v1/models/", "/api/jobs/", "/api/why/", "/"):
        # Under a name of its own: the path is the key.
        answer = Evidence().fetch(house.base, "GET", f"{place}{KEY}")
        assert b"***" in evidence.add(f"GET {place}", answer)


def run_jobs(evidence: Evidence, house: Process, secret: Path) -> None:
    """Have roles look for the key, and crash over it."""
    jobs = [
        house.post("/api/jobs", {"role": role, "input": text})["id"]
        for role, text in (
            ("crashing", str(secret)),
            ("curious", "environ"),
            ("curious", "command"),
            ("curious", "hello"),
            ("leaving", str(secret)),
        )
    ]
    for job in jobs:
        answer = json.loads(evidence.fetch(house.base, "GET", f"/api/jobs/{job}?wait=20s"))
        assert answer["status"] in {"done", "failed"}
    crashed = house.get(f"/api/jobs/{jobs[0]}")
    assert (crashed["status"], crashed["runs"]) == ("failed", 3)
    assert "***" in crashed["detail"]
    assert house.get(f"/api/jobs/{jobs[4]}")["error"].partition(" (")[0].endswith("SystemExit: ***")
    looked = house.get(f"/api/jobs/{jobs[2]}")["result"]
    assert "PATH=" in looked


def look_everywhere(evidence: Evidence, house: Process, folder: Path) -> None:
    """Fetch every page there is, and run every command that shows something."""
    for path in (
        *("/health", "/metrics", "/api/stats", "/api/keys", "/api/roles", "/api/jobs"),
        *("/api/queue", "/api/usage", "/", "/dashboard/app.js", "/livez", "/readyz", "/nowhere"),
    ):
        evidence.fetch(house.base, "GET", path)
    assert b"event: hello" in evidence.fetch(house.base, "GET", "/api/events", most=1 << 20)
    here = f"--set=web.port={urlsplit(house.base).port}"
    commands = [("status", "--json", here), ("keys", here), ("doctor", "--json", here)]
    with ThreadPoolExecutor() as threads:
        run = partial(command, evidence, folder, key=KEY)
        running = [threads.submit(run, *words) for words in commands]
        assert [one.result() for one in running] == [0, 0, 1]


def test_no_way_out(tmp_path: Path, cores: None) -> None:
    """Every error of the API, of a role and of a caller, and every page, and then SIGKILL."""
    evidence, folder = Evidence(), tmp_path / "house"
    folder.mkdir()
    secret = prepare(folder)
    with simulator(tmp_path, "--option", f"key={RIGHT}") as api:
        settings = (
            f"upstream.base_url={api.base}/v1",
            f"key.file={secret}",
            "upstream.timeout=300ms",
            "upstream.max_retries=0",
            "upstream.patience=500ms",
            "quota.limits=[]",
            "sandbox.level=plain",
            "log.level=debug",
        )
        with supervisor(folder, *settings, key=KEY, program=True) as house:
            provoke_the_api(evidence, api, house)
            provoke_the_door(evidence, house)
            run_jobs(evidence, house, secret)
            look_everywhere(evidence, house, folder)
            evidence.add_processes(house.popen.pid)
            house.kill()
            keep_output(evidence, house)
    evidence.add_files(folder, but=frozenset({"secret"}))
    assert len(evidence.found) > 40
    assert any(place.endswith(".sqlite") for place in evidence.found)
    assert evidence.leaks(KEY) == []


def test_no_way_out_of_a_rotation(tmp_path: Path, cores: None) -> None:
    """Old, new and refused keys stay inside, and a crash of the process shows none of them."""
    evidence, folder = Evidence(), tmp_path / "house"
    folder.mkdir()
    secret = prepare(folder)
    with simulator(tmp_path, "--option", "echo_key=true") as api:
        upstream = f"upstream.base_url={api.base}/v1"
        settings = upstream, f"key.file={secret}", "quota.limits=[]", "log.level=debug"
        with supervisor(folder, *settings, key="", program=True) as house:
            secret.write_text(NEXT)
            house.wait_for("keys.rotated")
            api.post("/_simulator/settings", {"key": NEXT})
            for text in (KEY, f"{KEY} {KEY}", f"'{KEY}'", "", KEY[:20]):
                secret.write_text(text)
                evidence.fetch(house.base, "POST", "/api/keys/reload")
            evidence.fetch(house.base, "GET", "/health")
            house.popen.send_signal(signal.SIGABRT)
            assert house.popen.wait(20) == -signal.SIGABRT
            keep_output(evidence, house)
    told = evidence.found["stdout"] + house.log.read_bytes()
    assert b"Fatal Python error: Aborted" in told
    evidence.add_files(folder, but=frozenset({"secret"}))
    assert not list(tmp_path.rglob("core*"))
    assert evidence.leaks(KEY, NEXT) == []


@pytest.mark.parametrize(
    "words",
    [
        ("--set", f"key.file=/nowhere/{KEY}"),
        ("--set", f'key.command=["sh", "-xc", "echo {KEY} >&2; exit 1"]'),
        ("--set", f"web.port={'x' * 50}{KEY}"),
        (f"--{KEY}",),
    ],
)
def test_no_way_out_of_a_wrong_start(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A wrong setting beside the key, or the key in place of a setting, is told without it."""
    evidence = Evidence()
    (tmp_path / "roles").mkdir()
    key = "" if any("key." in word for word in words) else KEY
    assert command(evidence, tmp_path, "run", *words, key=key) == 2
    assert evidence.leaks(KEY) == []


def test_the_search_finds_what_is_there() -> None:
    """The search itself works: a key is found whole, in parts, in base64 and in hex."""
    for data in (
        KEY.encode(),
        KEY[9:24].encode(),
        b"eGFpLXBsYW50ZWQtWnE3UmtXMnZCeDlObVQ0cExkOEpjNUhm",
        KEY.encode().hex().encode(),
    ):
        evidence = Evidence()
        evidence.add("here", b"before " + data + b" after")
        assert len(evidence.leaks(KEY)) == 1, data
    assert not Evidence({"here": b"xai-***"}).leaks(KEY)
    assert all(len(form) == 12 for form in forms(KEY))


def keep_output(evidence: Evidence, process: Process) -> None:
    """Keep what a process that has ended wrote to stdout; its log is a file."""
    assert process.popen.stdout is not None
    evidence.add("stdout", process.popen.stdout.read())
