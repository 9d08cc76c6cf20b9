"""A new key under load, with real processes: no request fails, and none is cut."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest

from tests.acceptance.processes import Process, ran, simulator, supervisor

pytestmark = pytest.mark.slow

KEYS = [f"xai-test-{name}-not-a-real-key" for name in ("first", "second", "third", "wrong")]
BODY = {"model": "grok-4.7", "messages": [{"role": "user", "content": "hello"}]}
CLIENTS = 8


def ask_on(house: Process, ended: Event, *, stream: bool) -> list[str]:
    """Ask again and again until told to end; what went wrong."""
    wrong: list[str] = []
    body = json.dumps({**BODY, "stream": stream})
    while not ended.is_set():
        connection = http.client.HTTPConnection(urlsplit(house.base).netloc, timeout=20)
        try:
            connection.request("POST", "/v1/chat/completions", body)
            response = connection.getresponse()
            text = response.read().decode()
            whole = "[DONE]" in text if stream else "choices" in text
            if response.status != 200 or not whole:
                wrong.append(f"{response.status} {text}")
        except (OSError, http.client.HTTPException) as error:
            wrong.append(repr(error))
        finally:
            connection.close()
    return wrong


def keys(house: Process, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m supervisor keys`."""
    port = urlsplit(house.base).port
    here = f"--set=web.port={port}"
    return ran("keys", *words, here, folder=house.log.parent, key="", XAI_API_KEY="")


def only(api: Process, key: str) -> None:
    """From now on the API takes this key and no other."""
    api.post("/_simulator/settings", {"key": key})


@pytest.mark.timeout(60)
def test_rotation_under_load(tmp_path: Path) -> None:
    """Three keys in turn, by file, by SIGHUP and by hand: not one of all requests is lost."""
    (tmp_path / "roles").mkdir()
    file, ended = tmp_path / "grok", Event()
    file.write_text(KEYS[0])
    file.chmod(0o600)
    with (
        simulator(tmp_path, "--latency", "150ms", "--option", "chunk_delay=20ms") as api,
        supervisor(
            tmp_path,
            f"upstream.base_url={api.base}/v1",
            f"key.file={file}",
            "quota.limits=[]",
            key="",
        ) as house,
        ThreadPoolExecutor(CLIENTS) as clients,
    ):
        asking: list[Future[list[str]]] = [
            clients.submit(ask_on, house, ended, stream=number % 2 == 0)
            for number in range(CLIENTS)
        ]
        try:
            rotate(api, house, file)
        finally:
            ended.set()
        assert [wrong for one in asking for wrong in one.result(20)] == []
        assert house.get("/health")["status"] == "ok"
        assert api.get("/_simulator/report")["attempts"] > 3 * CLIENTS
        assert house.stop() == 0
    assert house.log.read_text().count("keys.rotated") == 2
    told = house.log.read_text()
    assert not [key for key in KEYS if key in told]


def rotate(api: Process, house: Process, file: Path) -> None:
    """Change the key twice with the old one valid for a while, and once to a wrong one."""
    first = house.get("/api/keys")["fingerprint"]
    file.write_text(KEYS[1])
    house.wait_for("keys.rotated")
    # The old one ends once the new one is in use; what is under way has arrived by then.
    only(api, KEYS[1])
    second = house.get("/api/keys")
    assert second["fingerprint"] != first
    # A wrong one changes nothing, whoever asks for it.
    file.write_text(KEYS[3])
    house.wait_for("keys.kept")
    house.popen.send_signal(signal.SIGHUP)
    house.wait_for("SIGHUP")
    refused = keys(house, "reload")
    assert refused.returncode == 1
    assert refused.stderr.startswith("refused: the API refused the new key")
    assert house.get("/api/keys")["fingerprint"] == second["fingerprint"]
    # The API takes both for a while, as it does when a key is about to end.
    api.post("/_simulator/settings", {"key": None})
    file.write_text(KEYS[2])
    third = keys(house, "reload", "--json")
    assert third.returncode == 0
    only(api, KEYS[2])
    assert json.loads(third.stdout)["rotations"] == 2


@pytest.mark.timeout(60)
def test_a_halt_ends_with_the_new_key(tmp_path: Path) -> None:
    """A key that was refused stops sending; the new key in `.env` starts it again by itself."""
    (tmp_path / "roles").mkdir()
    env_file = tmp_path / ".env"
    with simulator(tmp_path) as api:
        only(api, KEYS[1])
        env_file.write_text(f"XAI_API_KEY={KEYS[0]}\n")
        settings = f"upstream.base_url={api.base}/v1", "quota.limits=[]"
        with supervisor(tmp_path, *settings, key="") as house:
            with pytest.raises(HTTPError) as refused:
                house.post("/v1/chat/completions", BODY)
            refused.value.close()
            assert house.get("/health")["status"] == "halted"
            env_file.write_text(f"XAI_API_KEY={KEYS[1]}\n")
            house.wait_for("broker.halt_ended")
            assert house.post("/v1/chat/completions", BODY)["choices"]
            assert house.stop() == 0


def test_nothing_to_rotate_on_the_simulated_api(tmp_path: Path) -> None:
    """With `--simulate` a reload says that there is nothing to do; SIGHUP ends nothing."""
    (tmp_path / "roles").mkdir()
    with supervisor(tmp_path, simulate=True) as house:
        house.popen.send_signal(signal.SIGHUP)
        house.wait_for("keys.unchanged")
        done = keys(house, "reload")
        assert (done.returncode, house.popen.poll()) == (0, None)
        assert "nothing to rotate: the key is that of the simulated API" in done.stderr
        assert house.stop() == 0


def test_a_call_while_it_starts(tmp_path: Path) -> None:
    """SIGHUP before anybody can hear it ends nothing, and is heard as soon as somebody can."""
    (tmp_path / "roles").mkdir()
    command = tmp_path / "show"
    once = f"[ -e {tmp_path}/called ] || {{ : > {tmp_path}/called; kill -HUP $PPID; }}"
    command.write_text(f"#!/bin/sh\n{once}\necho {KEYS[0]}\n")
    command.chmod(0o700)
    with supervisor(tmp_path, f'key.command=["{command}"]', key="", program=True) as house:
        house.wait_for("keys.unchanged")
        last = house.get("/api/keys")["last"]
        assert (last["cause"], last["result"]) == ("SIGHUP", "unchanged")
        assert house.stop() == 0
