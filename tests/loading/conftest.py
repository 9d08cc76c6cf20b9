"""A roles directory, and a look at what loading leaves behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loading.plugins import private_modules


@pytest.fixture
def roles(tmp_path: Path) -> Path:
    """An empty roles directory."""
    directory = tmp_path / "roles"
    directory.mkdir()
    return directory


@pytest.fixture(autouse=True)
def _forget_plugins() -> Iterator[None]:
    """Each test begins without the modules of another's plugins, of other files' tests too."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    for name in private_modules():
        del sys.modules[name]
