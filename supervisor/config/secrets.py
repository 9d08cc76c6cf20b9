"""The secrets of this process, kept apart from the settings that may be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from supervisor.config.key import KeySource


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is kept apart.

    Attributes:
        key: The API key that the environment or `.env` holds, None when they hold none.
        clients: Bearer tokens by client, of those whose variable is set.
        source: Where the key comes from.
    """

    key: SecretStr | None = None
    clients: Mapping[str, SecretStr] = field(default_factory=dict[str, SecretStr])
    source: KeySource = field(default_factory=KeySource, compare=False)
