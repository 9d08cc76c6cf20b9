"""Each thing that `doctor` looks at, well and ill."""

from __future__ import annotations

import importlib
import json
import socket
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest
from anyio import to_thread

import supervisor
from supervisor.cli import checks, machine_checks, main, store_checks
from supervisor.cli.check import Check, Look, fine, look_at_all
from supervisor.config.load import load_settings
from supervisor.config.settings import Settings
from supervisor.errors import ConfigError
from supervisor.ledger.owner import SqliteOwnership
from supervisor.ledger.sqlite import SCHEMA
from supervisor.sqlite import connect

KEY = "xai-test-not-a-real-key"
Capture = pytest.CaptureFixture[str]


def _settings(*overrides: str, **environ: str) -> Settings:
    return load_settings(overrides=overrides, environ=environ)


class Wall:
    """A clock that shows what it is told."""

    def __init__(self, wall: float) -> None:
        self._wall = wall

    def wall(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return 0.0


class Hasty(Wall):
    """A clock by which every look is an hour later."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self._now = 0.0

    def monotonic(self) -> float:
        self._now += 3600.0
        return self._now


def test_python_is_new_enough() -> None:
    """The Python that runs these tests is one that is supported."""
    assert checks.python_version().ok


def test_package_is_ours(tmp_path: Path) -> None:
    """Our own package is recognised; Supervisord's, or a mixture, is called by its name."""
    assert supervisor.__file__ is not None
    assert checks.package(Path(supervisor.__file__).parent).ok
    assert not checks.package(tmp_path).ok
    (tmp_path / "supervisord.py").touch()
    mixed = checks.package(tmp_path)
    assert not mixed.ok
    assert "Supervisord" in mixed.hint


def test_configuration_is_told() -> None:
    """The check shows the API and the limits, or what is wrong."""
    fine = checks.configuration(_settings())
    assert "https://api.x.ai/v1, 100 requests / minute, 3000 requests / hour" in fine.detail
    unlimited = checks.configuration(_settings("quota.enabled=false"))
    assert "no limits" in unlimited.detail
    assert not checks.configuration(ConfigError("expected x")).ok


@pytest.mark.parametrize(
    ("key", "ok"),
    [("", False), (KEY, True), ("abc-test-not-a-real-key", False), ("xai-short", False)],
)
def test_key_is_judged_and_never_shown(key: str, *, ok: bool) -> None:
    """A key is judged by its looks, and no part of it is shown."""
    check = checks.key_present(_settings(**({"XAI_API_KEY": key} if key else {})))
    assert check.ok is ok
    assert not key or key not in f"{check.detail}{check.hint}"


def test_roles_are_loaded(tmp_path: Path) -> None:
    """A broken plugin, or a missing folder, is told with what to do."""
    folder = tmp_path / "roles"
    setting = f"roles.directory={folder}"
    assert not checks.roles(_settings(setting)).ok
    folder.mkdir()
    assert checks.roles(_settings(setting)).detail.endswith("none yet")
    (folder / "bad.py").write_text("import nothing_of_that_name\n")
    broken = checks.roles(_settings(setting))
    assert not broken.ok
    assert "bad.py:1" in broken.detail


def _store(folder: Path) -> Settings:
    return _settings(f"store.url=sqlite:///{folder}/supervisor.sqlite")


def test_store_is_writable(tmp_path: Path) -> None:
    """The nearest folder that exists is looked at; nothing is created."""
    check = store_checks.store(_store(tmp_path / "new"))
    assert check.ok
    assert check.detail == f"{tmp_path} can be written; supervisor.sqlite will be made"
    assert not (tmp_path / "new").exists()


def test_store_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without write permission is named."""

    def nothing_is_allowed(path: Path, mode: int) -> bool:
        return False

    monkeypatch.setattr("os.access", nothing_is_allowed)
    check = store_checks.store(_store(tmp_path))
    assert not check.ok
    assert str(tmp_path) in check.detail


def test_store_is_read(tmp_path: Path) -> None:
    """The files that are there are named and read; one that is damaged or no ledger is wrong."""
    settings = _store(tmp_path)
    connect(settings.store.file(), SCHEMA).close()
    connect(settings.store.file("-jobs"), "CREATE TABLE supervisor_jobs (seq)").close()
    check = store_checks.store(settings)
    assert check.ok
    assert check.detail == f"{tmp_path}: supervisor.sqlite, supervisor-jobs.sqlite; sound"
    settings.store.file("-jobs").write_text("hello" * 1000)
    check = store_checks.store(settings)
    assert not check.ok
    assert "supervisor-jobs.sqlite cannot be read" in check.detail


def test_store_that_is_large_is_taken_on_trust(tmp_path: Path) -> None:
    """What could not be read in time is well as far as it was read, and that is said."""
    settings = _store(tmp_path)
    connection = connect(settings.store.file(), SCHEMA)
    rows = ((hour,) for hour in range(10_000))
    connection.executemany("INSERT INTO hours VALUES (?, 'c', 'm', 1,1,1,1,1,1,1,1)", rows)
    connection.close()
    check = store_checks.store(settings, clock=Hasty())
    assert check.ok
    assert "as far as read" in check.detail


@pytest.mark.anyio
async def test_owner_is_a_fact(tmp_path: Path) -> None:
    """Whether a process owns the key is told, and is well both ways."""
    settings = _store(tmp_path)
    free = await to_thread.run_sync(store_checks.owner, settings)
    lock = SqliteOwnership(settings.store.file("-owner"))
    assert await lock.acquire_nowait()
    held = await to_thread.run_sync(store_checks.owner, settings)
    await lock.release()
    assert (free.ok, held.ok) == (True, True)
    assert "no process owns the key" in free.detail
    assert f"it holds {tmp_path}/supervisor-owner.sqlite" in held.detail


def test_owner_whose_lock_is_none(tmp_path: Path) -> None:
    """A lock that cannot be read is wrong."""
    settings = _store(tmp_path)
    settings.store.file("-owner").write_text("hello" * 1000)
    assert not store_checks.owner(settings).ok


@pytest.mark.slow
def test_store_on_a_server(postgresql: str) -> None:
    """A server is asked for its version and for its lock; its password is never shown."""
    settings = _settings(SUPERVISOR__STORE__URL=postgresql)
    store, owner = store_checks.store(settings), store_checks.owner(settings)
    assert store.ok
    assert "PostgreSQL" in store.detail
    assert owner.detail == "no process owns the key now"


def test_store_on_a_server_that_is_not_there() -> None:
    """A server that does not answer is told by its address, without the password."""
    url = "postgresql://someone:secret-word@127.0.0.1:9/nothing"
    settings = _settings(SUPERVISOR__STORE__URL=url)
    for check in (store_checks.store(settings), store_checks.owner(settings)):
        assert not check.ok
        assert "refused" in check.detail
        assert "secret-word" not in f"{check.detail} {check.hint}"


@pytest.mark.parametrize(
    ("free", "ok", "hint"),
    [(10 * 2**30, True, ""), (200 * 2**20, True, "make room"), (2**20, False, "make room")],
)
def test_disk_has_room(
    free: int, *, ok: bool, hint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Little room is advice, next to none is wrong."""

    def usage(folder: Path) -> SimpleNamespace:
        assert folder == tmp_path
        return SimpleNamespace(free=free)

    monkeypatch.setattr("shutil.disk_usage", usage)
    check = store_checks.disk(_store(tmp_path / "new"))
    assert check.ok is ok
    assert check.hint.startswith(hint)
    assert bool(check.hint) is bool(hint)


GITS = {
    "echo git version 2.39.5 (Apple Git-154)": (True, True, "2.39.5"),
    "echo git version 2.20.1": (False, True, "2.31 or later, got: git version 2.20.1"),
    "echo hello": (False, True, "got: hello"),
    "": (False, True, "does not run"),
}


@pytest.mark.parametrize("script", GITS)
def test_git_is_needed_by_the_role_code(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing or old git is wrong where there is a role `code`, and told elsewhere."""
    with_code, without, says = GITS[script]
    if script:
        program = tmp_path / "git"
        program.write_text(f"#!/bin/sh\n{script.replace('(', '').replace(')', '')}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = _settings(f"roles.directory={tmp_path}/roles")
    assert machine_checks.git(settings).ok is without
    (tmp_path / "roles" / "code").mkdir(parents=True)
    check = machine_checks.git(settings)
    assert check.ok is with_code
    assert says in check.detail


@pytest.mark.slow
def test_sandbox_really_runs_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain is well with advice; a bubblewrap that cannot make its walls is found out."""
    plain = machine_checks.sandbox(_settings("sandbox.level=plain"))
    assert plain.ok
    assert "install bubblewrap" in plain.hint
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = machine_checks.sandbox(_settings("sandbox.level=bubblewrap"))
    assert not missing.ok
    assert "found none" in missing.detail
    bwrap = tmp_path / "bwrap"
    bwrap.write_text(
        "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2; exit 1\n"
    )
    bwrap.chmod(0o755)
    broken = machine_checks.sandbox(_settings())
    assert not broken.ok
    assert "exit code 1, bwrap: No permissions" in broken.detail
    bwrap.write_text("#!/bin/sh\nexit 0\n")
    assert machine_checks.sandbox(_settings()).detail == "bubblewrap runs a command"


@pytest.mark.parametrize(("mode", "hint"), [(0o600, ""), (0o644, "chmod 600"), (0o660, "chmod")])
def test_env_file_is_its_owners(mode: int, hint: str, tmp_path: Path) -> None:
    """Secrets that others can read are advised about; a missing file is well."""
    file = tmp_path / ".env"
    assert not machine_checks.env_file(file).hint
    file.touch()
    file.chmod(mode)
    check = machine_checks.env_file(file)
    assert check.ok
    assert bool(check.hint) is bool(hint)
    assert check.hint.startswith(hint)


def test_port_is_free_or_taken(free_port: int) -> None:
    """A free port is well; one that something else has is not."""
    assert checks.port(_settings(f"web.port={free_port}")).ok
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        assert not checks.port(_settings(f"web.port={other.getsockname()[1]}")).ok


@pytest.mark.parametrize(
    ("token", "hint"), [("tiny", "its token is short"), ("long-enough-to-be-one", "")]
)
def test_port_that_others_can_reach_is_told(token: str, hint: str) -> None:
    """Listening everywhere is said, and that a short token guards it."""
    settings = _settings("web.host=0.0.0.0", "web.port=0", SUPERVISOR_TOKEN=token)
    check = checks.port(settings)
    assert check.ok
    assert "others can reach it" in check.detail
    assert check.hint.startswith(hint)
    assert token not in f"{check.detail}{check.hint}"


@pytest.mark.parametrize(("wall", "ok"), [(1_800_000_000.0, True), (0.0, False)])
def test_clock_is_plausible(wall: float, *, ok: bool) -> None:
    """A clock that shows a time before this project existed is wrong."""
    assert checks.clock(Wall(wall)).ok is ok


@pytest.mark.anyio
async def test_key_is_refused_by_an_api_that_is_not_there(free_port: int) -> None:
    """An API that cannot be reached is told with its address, without the key."""
    # Imported by the check itself, which blocks: not in a test's event loop.
    await to_thread.run_sync(importlib.import_module, "supervisor.upstream.client")
    settings = _settings(f"upstream.base_url=http://127.0.0.1:{free_port}/v1", XAI_API_KEY=KEY)
    check = await checks.key_accepted(settings)
    assert not check.ok
    assert f"127.0.0.1:{free_port}" in f"{check.detail}{check.hint}"
    assert KEY not in f"{check.detail}{check.hint}"


def test_doctor_prints_one_document(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --json the checks are one document; one that fails makes the exit code 1."""
    Path("roles").mkdir()
    (Path("roles") / "loud.py").write_text("print('hello from a plugin')\n")
    monkeypatch.setenv("XAI_API_KEY", KEY)
    code = main(["doctor", "--offline", "--json", "--set", "web.port=0"])
    document = json.loads(capsys.readouterr().out)
    assert code == 1
    assert document["ok"] is False
    assert [check["name"] for check in document["checks"]] == [
        *("python", "package", "clock", "config", "key"),
        *("roles", "store", "owner", "port", "git", "sandbox", "disk", ".env"),
    ]
    assert all(set(check) == {"name", "ok", "detail", "hint"} for check in document["checks"])
    assert KEY not in json.dumps(document)


def test_doctor_goes_no_further_than_a_wrong_configuration(capsys: Capture) -> None:
    """What depends on the settings is not checked where there are none."""
    assert main(["doctor", "--set", "modle=x"]) == 1
    out = capsys.readouterr().out
    assert 'did you mean "model"?' in out
    assert "FAIL config" in out
    assert "store" not in out


def test_groq_key_is_told(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Groq key pasted by mistake is called by its name, and not shown."""
    monkeypatch.setenv("GROK_API_KEY", "gsk_planted0123456789abcdef")
    assert main(["doctor", "--offline"]) == 1
    out = capsys.readouterr().out
    assert "this is a Groq key, not a Grok key" in out
    assert "planted0123456789" not in out


@pytest.mark.slow
def test_doctor_asks_the_api(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    """Unless told to stay offline it asks whether the key is accepted, and says what to do."""
    monkeypatch.setenv("GROK_API_KEY", KEY)
    where = f"upstream.base_url=http://127.0.0.1:{free_port}/v1"
    assert main(["doctor", "--set", where, "--set", "web.port=0"]) == 1
    assert "FAIL key accepted: " in capsys.readouterr().out


def test_looks_go_side_by_side_and_end_in_time() -> None:
    """All are started at once; one that hangs is given up with its advice, a crash is told."""
    met, never = Event(), Event()

    def waits() -> Check:
        assert met.wait(5.0)
        return fine("first", "met the other")

    def hangs() -> Check:
        never.wait(60.0)
        return fine("third", "too late")

    def meets() -> Check:
        met.set()
        raise ValueError("a mistake")

    looks = [Look("first", waits), Look("second", meets), Look("third", hangs, "look elsewhere")]
    first, second, third = look_at_all(looks, patience=0.2)
    never.set()
    assert first == fine("first", "met the other")
    assert (second.ok, second.detail) == (False, "the check itself failed: ValueError: a mistake")
    assert (third.ok, third.detail) == (False, "no answer within 0.2 s")
    assert third.hint == "look elsewhere"
