"""The options that say which supervisor is meant; every command takes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from supervisor.config.load import load_settings
from supervisor.config.settings import Settings


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Place:
    """Where the settings come from.

    Attributes:
        config: The configuration file; config.toml in this folder unless given.
        overrides: One setting as dotted.key=value; can be given again.
    """

    config: Annotated[Path | None, Parameter(name=("--config",))] = None
    overrides: Annotated[
        tuple[str, ...], Parameter(name=("--set",), negative=(), show_default=False)
    ] = ()

    def settings(self, *more: str) -> Settings:
        """The settings there.

        Args:
            more: Further overrides, which come last.

        Raises:
            ConfigError: Something is configured wrong.
        """
        return load_settings(self.config, overrides=(*self.overrides, *more))


HERE = Place()
"""The default: the configuration of this folder."""
