"""A duration in settings and scripts: `200ms` in text, seconds in memory."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from supervisor.limits import parse_duration


def _seconds(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[float, BeforeValidator(_seconds), Field(ge=0.0, allow_inf_nan=False)]
