"""The error tree."""

from __future__ import annotations

import inspect
import re

import pytest

from supervisor import errors
from supervisor.errors import (
    PluginInvalid,
    QuotaRefused,
    RequestError,
    SupervisorError,
    UpstreamError,
)

CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if kind.__module__ == errors.__name__
]
REQUEST_ERRORS = [kind for kind in CLASSES if issubclass(kind, RequestError)]


def drawn() -> dict[str, str]:
    """Each class of the docstring's drawing, and the one it hangs from."""
    above: list[str] = []
    parents: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    (?P<branch>[ │├└─]*)(?P<name>[A-Z]\w+)( |$)", line)
        if match is None:
            continue
        depth = len(match["branch"]) // 4
        del above[depth:]
        parents[match["name"]] = above[-1] if above else "Exception"
        above.append(match["name"])
    return parents


def test_the_tree_is_as_drawn() -> None:
    """The drawing shows every class, each below its own base."""
    assert drawn() == {kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_says_who_gets_it(kind: type[SupervisorError]) -> None:
    """An error's docstring is its own, not the one it inherits."""
    assert kind.__dict__.get("__doc__")


@pytest.mark.parametrize("kind", REQUEST_ERRORS, ids=lambda kind: kind.__name__)
def test_gateway_can_answer_with_every_request_error(kind: type[RequestError]) -> None:
    """Each request error is an HTTP error status and a code of its own."""
    assert 400 <= kind.status < 600
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)
    assert [other for other in REQUEST_ERRORS if other.code == kind.code] == [kind]


def test_text_is_message_and_hint() -> None:
    """The text says what happened and, where there is one, what to do about it."""
    assert str(SupervisorError("no room", hint="wait")) == "no room (wait)"
    assert str(SupervisorError("no room")) == "no room"


def test_upstream_error_keeps_the_answer() -> None:
    """What the API said can be passed on as it was."""
    error = QuotaRefused("no", hint="wait", retry_after=2.0, upstream_status=429, body=b"{}")
    assert isinstance(error, UpstreamError)
    assert (error.retry_after, error.upstream_status, error.body, error.content_type) == (
        2.0,
        429,
        b"{}",
        "application/json",
    )


def test_plugin_error_points_at_its_line() -> None:
    """A broken plugin is found by file and line."""
    assert str(PluginInvalid("no class", file="roles/a.py", line=3)) == "roles/a.py:3: no class"
    assert str(PluginInvalid("empty", file="roles/a.py", hint="x")) == "roles/a.py: empty (x)"
