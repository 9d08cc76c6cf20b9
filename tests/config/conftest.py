"""A folder with the sources of settings in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from supervisor.config import Settings, load_settings
from supervisor.errors import ConfigError


@dataclass(frozen=True)
class Project:
    """A project's folder; `load` reads its settings with nothing of this machine in them."""

    folder: Path

    def load(
        self,
        toml: str = "",
        *overrides: str,
        env_file: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> Settings:
        """Write the files and read the settings.

        Args:
            toml: Text of config.toml.
            overrides: What the command line sets.
            env_file: Text of `.env`.
            environ: The environment.
        """
        (self.folder / "config.toml").write_text(toml, encoding="utf-8")
        (self.folder / ".env").write_text(env_file, encoding="utf-8")
        return load_settings(
            self.folder / "config.toml", overrides=overrides, environ=environ or {}
        )

    def problems(
        self,
        toml: str = "",
        *overrides: str,
        env_file: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> list[str]:
        """The problems of wrong settings, a line each, with the folder's name left out."""
        with pytest.raises(ConfigError) as caught:
            self.load(toml, *overrides, env_file=env_file, environ=environ)
        # A chained exception would show its input in a traceback.
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        return str(caught.value).replace(f"{self.folder}/", "").splitlines()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project's folder."""
    return Project(tmp_path)
