"""The page about the simulator says everything."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from supervisor.simulator.judge import JudgeReport
from supervisor.simulator.script import Rule
from supervisor.simulator.settings import Faults, Model, Settings

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", [*Settings.model_fields, *Faults.model_fields, *Model.model_fields]
)
def test_every_setting_is_on_the_page(name: str) -> None:
    """Each setting, fault and field of a model is explained."""
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("name", [field.alias or key for key, field in Rule.model_fields.items()])
def test_every_key_of_a_rule_is_on_the_page(name: str) -> None:
    """Each key of a scripted answer is shown."""
    assert f"{name} = " in PAGE


@pytest.mark.parametrize("name", [field.name for field in fields(JudgeReport)])
def test_every_field_of_the_report_is_on_the_page(name: str) -> None:
    """Each figure of the judge is in the example."""
    assert f'"{name}"' in PAGE
