"""An address that cannot be listened on is told in the system's own words, once."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from supervisor.listening import cannot_listen

TAKEN = "error while attempting to bind on address ('127.0.0.1', 8420): address already in use"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EADDRINUSE, TAKEN), os.strerror(errno.EADDRINUSE)),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "name or service not"),
        (OSError("no such luck"), "no such luck"),
    ],
)
def test_the_reason_is_told(error: OSError, reason: str) -> None:
    """Address, reason and what to do are one line; the event loop's repetition is left out."""
    told = cannot_listen("127.0.0.1", 8420, error, hint="choose another")
    assert str(told).startswith(f"cannot listen on 127.0.0.1:8420: {reason.lower()}")
    assert str(told).endswith(" (choose another)")
    assert str(told).count("8420") == 1
