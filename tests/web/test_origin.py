"""Where a request comes from, and who must stay out."""

from __future__ import annotations

import pytest

from supervisor.web.origin import foreign, is_loopback


@pytest.mark.parametrize(
    "headers",
    [
        {b"host": b"127.0.0.1:8420"},
        {b"host": b"localhost"},
        {b"host": b"LOCALHOST:8420"},
        {b"host": b"[::1]:8420"},
        {b"host": b"127.8.9.1"},
        {b"host": b"localhost:8420", b"origin": b"http://localhost:8420"},
        {b"host": b"localhost:8420", b"sec-fetch-site": b"same-origin"},
        {b"host": b"localhost:8420", b"sec-fetch-site": b"none"},
    ],
)
def test_programs_and_own_pages_pass(headers: dict[bytes, bytes]) -> None:
    """A program on this machine and a page of our own may pass."""
    assert foreign(headers, scheme="http", unguarded=True) == ""


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"host": b""},
        {b"host": b"evil.example"},
        {b"host": b"127.0.0.1.evil.example"},
        {b"host": b"localhost.evil.example:8420"},
        {b"host": b"[::2]"},
        {b"host": b"localhost:8420", b"origin": b"http://evil.example"},
        {b"host": b"localhost:8420", b"origin": b"http://localhost:3000"},
        {b"host": b"localhost:8420", b"origin": b"null"},
        {b"host": b"localhost:8420", b"origin": b""},
        {b"host": b"localhost:8420", b"sec-fetch-site": b"cross-site"},
        {b"host": b"localhost:8420", b"sec-fetch-site": b"same-site"},
        {b"host": b"localhost:8420", b"origin": b"\xff\xfe"},
    ],
)
def test_foreign_pages_and_rebound_names_are_kept_out(headers: dict[bytes, bytes]) -> None:
    """A page of another origin is kept out, and so is a name that was rebound to loopback."""
    assert foreign(headers, scheme="http", unguarded=True) != ""


def test_any_name_reaches_a_server_that_asks_for_a_token() -> None:
    """Where a token guards the rest, any host name will do and only other origins are kept out."""
    host = {b"host": b"team.example"}
    assert foreign(host, scheme="http", unguarded=False) == ""
    page = {**host, b"origin": b"https://team.example"}
    assert foreign(page, scheme="http", unguarded=False) == ""
    assert foreign({**host, b"origin": b"https://x.example"}, scheme="http", unguarded=False)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.255.0.1", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("team.example", False),
        ("", False),
    ],
)
def test_loopback_names(name: str, *, expected: bool) -> None:
    """Only names that cannot leave this machine count as loopback."""
    assert is_loopback(name) is expected
