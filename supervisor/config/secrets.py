"""The secrets of this process, kept apart from the settings that may be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Secrets:
    """What only the environment holds.

    Attributes:
        key: The API key, None when none is set.
        clients: Bearer tokens by client, of those whose variable is set.
    """

    key: SecretStr | None = None
    clients: Mapping[str, SecretStr] = field(default_factory=dict[str, SecretStr])
