"""`init` as a person meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from supervisor.cli import main

Capture = pytest.CaptureFixture[str]


def test_what_was_made_is_said(capsys: Capture) -> None:
    """The files and the next steps go to stderr, with the way into the folder."""
    assert main(["init", "my team"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "  config.toml\n" in captured.err
    assert "  cd 'my team'\n  python -m supervisor run --simulate" in captured.err
    assert list(Path("my team", "roles").iterdir())


def test_this_folder_is_the_default(capsys: Capture) -> None:
    """Without a folder it is this one; --json lists what was made."""
    assert main(["init", "--json"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["folder"] == str(Path.cwd())
    assert all(Path(name).is_file() for name in document["files"])
    assert "cd " not in captured.err


def test_a_second_time_is_refused(capsys: Capture) -> None:
    """Where files are there already, it names some, changes nothing and exits with 2."""
    assert main(["init"]) == 0
    Path("config.toml").write_text('model = "mine"\n')
    capsys.readouterr()
    assert main(["init"]) == 2
    said = capsys.readouterr().err
    assert "  README.md\n" in said
    assert " more\nnothing was changed" in said
    assert len(said.splitlines()) <= 9
    assert Path("config.toml").read_text() == 'model = "mine"\n'
