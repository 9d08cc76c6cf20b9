"""Options that are either there or not."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
"""Off unless given; there is no `--no-…` for what is off anyway."""

AsJson = Annotated[bool, Parameter(name="--json", negative=(), show_default=False)]
"""`--json`: one document on stdout."""
