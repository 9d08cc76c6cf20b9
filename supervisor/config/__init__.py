"""What was decided before the start? Every setting, from its sources to frozen, checked models."""

from supervisor.budget import Budget
from supervisor.config.consistency import check_shares, is_loopback
from supervisor.config.load import CONFIG_FILE, load_settings
from supervisor.config.schema import known_keys
from supervisor.config.settings import (
    ClientSettings,
    Kind,
    LogSettings,
    QuotaSettings,
    RoleSettings,
    RolesSettings,
    Settings,
    StoreSettings,
    UpstreamSettings,
    WebSettings,
)

__all__ = [
    "CONFIG_FILE",
    "Budget",
    "ClientSettings",
    "Kind",
    "LogSettings",
    "QuotaSettings",
    "RoleSettings",
    "RolesSettings",
    "Settings",
    "StoreSettings",
    "UpstreamSettings",
    "WebSettings",
    "check_shares",
    "is_loopback",
    "known_keys",
    "load_settings",
]
