"""An error of a role is told as it is, but for the key."""

from __future__ import annotations

import traceback

import pytest

from supervisor.errors import JobFailed
from supervisor.team.redaction import Redacted, without_key
from supervisor.upstream.key import Key

KEY = "made-up 0123456789 not a key"
redact = Key(KEY).redact


class Stubborn(Exception):
    """Shows what it was made with, whatever becomes of its arguments."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def __str__(self) -> str:
        return self.text


def raised(error: BaseException, *, cause: Exception | None = None) -> BaseException:
    """The error as somebody catches it."""
    try:
        raise error from cause
    except BaseException as caught:
        return caught


def test_an_error_without_the_key_stays_itself() -> None:
    """Nothing is done to an error that shows no key."""
    error = raised(ValueError("no", 5), cause=KeyError("x"))
    assert without_key(error, redact) is error
    assert error.args == ("no", 5)


@pytest.mark.parametrize(
    "error",
    [
        raised(ValueError(f"got {KEY}")),
        raised(ValueError("no"), cause=KeyError(KEY)),
        raised(JobFailed(f"cannot use {KEY}", hint=f"not {KEY}")),
        raised(ExceptionGroup("two", [ValueError(KEY), ValueError("other")])),
        raised(SystemExit(KEY)),
    ],
)
def test_the_key_is_taken_out_of_an_error(error: BaseException) -> None:
    """The error keeps its kind and its place; the key goes, in what led to it too."""
    clean = without_key(error, redact)
    assert clean is error
    assert clean.__traceback__ is not None
    text = "".join(traceback.format_exception(clean))
    assert KEY not in text.replace("KEY", "")
    assert "***" in text


def test_an_error_that_cannot_be_changed_is_replaced() -> None:
    """What insists on showing the key is told by another error, which says whose place it took."""
    error = raised(Stubborn(f"got {KEY}"))
    clean = without_key(error, redact)
    assert isinstance(clean, Redacted)
    assert str(clean) == "Stubborn: got ***"
    assert clean.__traceback__ is error.__traceback__
