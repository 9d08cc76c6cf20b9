"""What comes out: findings, and what was not looked at."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Finding(BaseModel):
    """One thing that is wrong.

    Attributes:
        rule_id: What kind of thing; a linter's rule begins with the linter's name.
        severity: How bad it is.
        confidence: How sure it is, 0 to 1.
        file: Where, relative to the repository's root.
        start: First line of the new file; all up to `end` are changed ones.
        end: Last line.
        title: What is wrong.
        why: Why that matters.
        suggestion: What to do; can be empty.
        source: Who found it.
        fingerprint: The same for the same finding after other lines have moved it.
    """

    rule_id: str
    severity: Severity
    confidence: float
    file: str
    start: int
    end: int
    title: str
    why: str
    suggestion: str
    source: Literal["model", "linter"] = "model"
    fingerprint: str = ""


class Linted(BaseModel):
    """One linter's work.

    Attributes:
        linter: Its name.
        files: How many files it looked at.
        findings: What it found in changed lines that means a bug.
        others: What else it found there: style, which is not told.
        error: Why it could not be used; empty when it could.
    """

    linter: str
    files: int
    findings: int = 0
    others: int = 0
    error: str = ""


class LeftOut(BaseModel):
    """A file that the model was not shown, or not all of.

    Attributes:
        file: Which.
        why: Why not.
        lines: How many of its changed lines.
    """

    file: str
    why: str
    lines: int = 0


class Review(BaseModel):
    """A whole review.

    Attributes:
        findings: At most five, worst first.
        files: How many files the change touches.
        changed_lines: How many lines it adds or changes.
        linted: What linters did; nothing for a bare diff.
        left_out: What the model was not shown.
        summary: All of it in one line.
        base: The commit it was compared with; empty for a bare diff.
        head: The commit that was reviewed.
    """

    findings: list[Finding]
    files: int
    changed_lines: int
    linted: list[Linted] = []
    left_out: list[LeftOut] = []
    summary: str = ""
    base: str = ""
    head: str = ""
