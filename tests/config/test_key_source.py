"""The places where a key can be: one at a time, read again and again, and never shown."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
import tracemalloc
from pathlib import Path

import pytest
from pydantic import SecretStr

from supervisor.config.key import FoundKey, KeySource
from supervisor.config.key_command import run_key_command
from supervisor.config.report import Report
from supervisor.errors import ConfigError
from tests.config.conftest import Project

KEY = "xai-test-not-a-real-key-0123456789"
OTHER = "xai-test-another-made-up-key-98765"
PARTS = [KEY[at : at + 12] for at in range(len(KEY) - 11)]


def printing(code: str) -> tuple[str, ...]:
    """A command that does something in Python."""
    return (sys.executable, "-I", "-S", "-c", code)


def refusal(source: KeySource) -> str:
    """What is said about a source; neither it nor its traceback shows a part of the key."""
    with pytest.raises(ConfigError) as caught:
        source.read()
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    shown = "".join(told.format())
    assert not [part for part in PARTS if part in shown]
    return str(caught.value)


def test_key_from_a_file(tmp_path: Path) -> None:
    """The secret file holds the key; white space around it and a byte order mark do not count."""
    file = tmp_path / "grok"
    file.write_text(f"\ufeff{KEY}\n\n")
    file.chmod(0o600)
    found = KeySource(env_file=tmp_path / ".env", file=file).read()
    assert found == FoundKey(secret=SecretStr(KEY), origin=f"{file} (key.file)")
    assert KEY not in repr(found)


def test_a_pipe_is_not_looked_at(tmp_path: Path) -> None:
    """A pipe in the file's place, which nobody writes into, holds up no look and no stop."""
    file = tmp_path / "grok"
    source = KeySource(env_file=tmp_path / ".env", file=file)
    nothing = source.look()
    os.mkfifo(file)
    looking = threading.Thread(target=source.look, daemon=True)
    looking.start()
    looking.join(2)
    assert not looking.is_alive()
    assert source.look() == nothing


def test_key_from_a_command(tmp_path: Path) -> None:
    """The first line that the command prints is the key."""
    command = printing(f"print('{KEY}'); print('login: me')")
    source = KeySource(env_file=tmp_path / ".env", command=command)
    assert source.read().secret.get_secret_value() == KEY


def test_key_from_env_file_can_change(tmp_path: Path) -> None:
    """`.env` is read anew each time; what the environment had at the start goes before it."""
    env_file = tmp_path / ".env"
    env_file.write_text(f"XAI_API_KEY={KEY}\n")
    source = KeySource(env_file=env_file)
    first = source.read()
    env_file.write_text(f"GROK_API_KEY={OTHER}\n")
    second = source.read()
    assert [first.secret.get_secret_value(), second.secret.get_secret_value()] == [KEY, OTHER]
    assert not first.fixed
    fixed = KeySource(env_file=env_file, variables={"GROK_API_KEY": SecretStr(KEY)}).read()
    assert (fixed.secret.get_secret_value(), fixed.fixed) == (KEY, True)


def test_an_empty_variable_hides_the_env_file(tmp_path: Path) -> None:
    """What is set to nothing at the start stays nothing when the sources are read again."""
    env_file = tmp_path / ".env"
    env_file.write_text(f"XAI_API_KEY={KEY}\n")
    source = KeySource(env_file=env_file, variables={"XAI_API_KEY": SecretStr("")})
    assert "no API key" in refusal(source)


@pytest.mark.parametrize("second", ["file", "command"])
def test_two_sources(tmp_path: Path, second: str) -> None:
    """Two sources that agree are one; two that differ are an error that names both, no value."""
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o600)
    file = tmp_path / "key" if second == "file" else None
    command = printing(f"print('{KEY}')") if second == "command" else ()

    def source(key: str) -> KeySource:
        variables = {"GROK_API_KEY": SecretStr(key)}
        here = tmp_path / ".env"
        return KeySource(env_file=here, variables=variables, command=command, file=file)

    assert source(KEY).read().origin == "environment variable GROK_API_KEY"
    said = refusal(source(OTHER))
    assert "environment variable GROK_API_KEY and " in said
    assert f"key.{second}" in said
    assert "hold different keys: keep one of them" in said
    assert OTHER not in said


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "to hold a key, got: nothing"),
        (b" \n", "to hold a key, got: nothing"),
        (f"{KEY} {KEY}".encode(), "without white space"),
        (f"XAI_API_KEY='{KEY}'".encode(), "without quotation marks"),
        (b"gsk_test-not-a-real-key", "this is a Groq key"),
        (b"\xff" + KEY.encode(), "to be UTF-8 text"),
        (KEY.encode() * 1000, "got: a long text"),
    ],
)
def test_file_without_a_usable_key(tmp_path: Path, content: bytes, says: str) -> None:
    """A file is told by its name and by what was expected in it; its content is not shown."""
    file = tmp_path / "grok"
    file.write_bytes(content)
    said = refusal(KeySource(env_file=tmp_path / ".env", file=file, base_url="https://api.x.ai/v1"))
    assert says in said
    assert str(file) in said


def test_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that cannot be read is told with the reason."""
    said = refusal(KeySource(env_file=tmp_path / ".env", file=tmp_path / "nowhere"))
    assert said == f"key.file: {tmp_path}/nowhere cannot be read: No such file or directory"


@pytest.mark.skipif(os.name == "nt", reason="modes are those of POSIX")
@pytest.mark.parametrize(
    ("mode", "open_to"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)]
)
def test_file_that_others_may_read(tmp_path: Path, mode: int, *, open_to: bool) -> None:
    """A secret that other users may read works, with a warning that has the command to mend it."""
    file = tmp_path / "grok"
    file.write_text(KEY)
    file.chmod(mode)
    warning = KeySource(env_file=tmp_path / ".env", file=file).read().warning
    assert (f"chmod 600 {file}" in warning) is open_to
    assert bool(warning) is open_to


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("/nowhere/pass", "show"), '"/nowhere/pass" cannot be run: No such file or directory'),
        (printing("print()"), "printed nothing: expected the key as its first line"),
        (printing(f"print('{KEY}'); raise SystemExit(3)"), "ended with code 3"),
        (printing(f"print('{KEY} {KEY}')"), "without white space"),
    ],
)
def test_command_without_a_usable_key(tmp_path: Path, command: tuple[str, ...], says: str) -> None:
    """A command that fails is told with what it came to."""
    assert says in refusal(KeySource(env_file=tmp_path / ".env", command=command))


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Error: grok is not in the password store.", "Error: grok is not in the password store."),
        (f"+ echo {KEY}", "+ echo ***"),
        (f"first\\nsecret={'Q9' * 20} is no key", "*** is no key"),
        ("", ""),
    ],
)
def test_complaint_of_a_command(tmp_path: Path, said: str, shown: str) -> None:
    """One line of a command's complaint is shown, and nothing in it that could be a key."""
    command = printing(f"import sys; sys.stderr.write('{said}'); raise SystemExit(1)")
    text = refusal(KeySource(env_file=tmp_path / ".env", command=command))
    assert text.endswith(f"ended with code 1; it said: {shown}" if shown else "with code 1")


def test_command_that_hangs() -> None:
    """A command gets its time and no more."""
    report = Report()
    hanging = printing("import time; time.sleep(60)")
    assert run_key_command(hanging, frozenset(), report, patience=0.05) is None
    with pytest.raises(ConfigError, match=r"did not end within 0\.05 s"):
        report.raise_if_any()


@pytest.mark.parametrize("apart", [False, True])
def test_command_that_leaves_somebody_behind(*, apart: bool) -> None:
    """An agent that it starts keeps its pipes open, maybe beyond our reach: the key counts."""
    agent = "[sys.executable, '-c', 'import time; time.sleep(3)']"
    code = f"import subprocess, sys; subprocess.Popen({agent}, start_new_session={apart}); "
    report = Report()
    began = time.perf_counter()
    key = run_key_command(printing(f"{code}print('{KEY}')"), frozenset(), report)
    assert time.perf_counter() - began < 2.5
    report.raise_if_any()
    assert key is not None
    assert key.get_secret_value() == KEY


def test_command_that_never_stops_printing() -> None:
    """It gets its time, and of what it prints no more is kept than a key can have."""
    report = Report()
    code = "import os\nwhile True: os.write(1, b'k' * 65536)"
    tracemalloc.start()
    try:
        assert run_key_command(printing(code), frozenset(), report, patience=0.5) is None
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    with pytest.raises(ConfigError, match="did not end"):
        report.raise_if_any()


def test_command_does_not_get_our_secrets(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command finds its own way in the environment, but neither our keys nor our tokens."""
    for name in ("XAI_API_KEY", "GROK_API_KEY", "SUPERVISOR_TOKEN", "EDITOR_TOKEN", "VAULT"):
        monkeypatch.setenv(name, f"value-of-{name}")
    code = "import os, sys; print('+'.join(name for name in sys.argv if name in os.environ))"
    names = ("XAI_API_KEY", "SUPERVISOR_TOKEN", "EDITOR_TOKEN", "VAULT")
    settings = project.load(
        f"key.command = {json.dumps([*printing(code), *names])}\n"
        "[clients.editor]\ntoken_env = 'EDITOR_TOKEN'\n"
    )
    assert settings.has_key
    assert settings.require_key().get_secret_value() == "VAULT"


def test_look_tells_content_and_nothing_else(tmp_path: Path) -> None:
    """A file that was only touched is the same; another content, or none, is not."""
    file = tmp_path / "grok"
    source = KeySource(env_file=tmp_path / ".env", file=file)
    missing = source.look()
    file.write_text(KEY)
    first = source.look()
    os.utime(file, (0, 0))
    assert source.look() == first != missing
    (tmp_path / ".env").write_text("A=b\n")
    assert source.look() != first
    assert source.files == (tmp_path / ".env", file)


def test_file_by_variable(project: Project) -> None:
    """GROK_API_KEY_FILE is key.file; it goes before config.toml as every variable does."""
    settings = project.load(
        'key.file = "one"', environ={"GROK_API_KEY_FILE": "~/two"}, env_file="GROK_API_KEY_FILE=x"
    )
    assert settings.key.file == Path("~/two").expanduser()
    assert settings.key_source.file == settings.key.file


def test_no_source_at_all(project: Project) -> None:
    """Without any source the error says which there are."""
    settings = project.load()
    assert not settings.has_key
    with pytest.raises(ConfigError, match=r"GROK_API_KEY or XAI_API_KEY .* or key\.file"):
        settings.require_key()
