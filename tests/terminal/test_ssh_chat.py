"""The SSH door as the house's last child."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import pytest

from supervisor.config.settings import Settings, SshSettings, StoreSettings
from supervisor.errors import ConfigError
from supervisor.supervision.spec import ChildSpec
from supervisor.supervision.supervisor import Supervisor
from supervisor.terminal.ssh_chat import serve_chat
from tests.terminal.ssh import line_of, make_key

pytestmark = pytest.mark.anyio


def child(folder: Path, ssh: SshSettings) -> ChildSpec:
    """The child that a house has for these settings."""
    store = StoreSettings(url=f"sqlite:///{folder}/store/supervisor.sqlite")
    settings = Settings(ssh=ssh, store=store)
    return ChildSpec("ssh", partial(serve_chat, settings, port=lambda: 1))


async def test_its_own_key_lies_beside_the_store(tmp_path: Path) -> None:
    """Unless told otherwise the server's key is kept where the store is kept."""
    keys = tmp_path / "authorized_keys"
    keys.write_text(line_of(make_key()))
    spec = child(tmp_path, SshSettings(port=0, authorized_keys=keys))
    async with anyio.create_task_group() as tasks:
        await tasks.start(Supervisor("house", (spec,)).run)
        tasks.cancel_scope.cancel()
    assert (tmp_path / "store" / "ssh_host_key").exists()


async def test_a_wrong_file_keeps_the_house_from_starting(tmp_path: Path) -> None:
    """A file of keys that is not there is a configuration error at start, said as it is."""
    spec = child(tmp_path, SshSettings(port=0, authorized_keys=tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"expected ssh\.authorized_keys"):
        await Supervisor("house", (spec,)).run()
