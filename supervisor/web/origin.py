"""Keeps browser pages of other origins out. Pure.

Any page a user visits can send requests to his loopback, and by DNS rebinding even read the
answers. Programs send none of the headers that give a page away; a rebound page cannot help
naming its own host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

_SAME_PAGE = (b"same-origin", b"none")
_USUAL = frozenset({"localhost", "127.0.0.1", "::1"})


def foreign(headers: Mapping[bytes, bytes], *, scheme: str, unguarded: bool) -> str:
    """Why a request must be refused for where it comes from.

    Args:
        headers: Request headers, lower-case names.
        scheme: `http` or `https`, as the server sees it.
        unguarded: Whether nothing but the machine's own bounds keeps strangers out; then only
            names of this machine are answered to.

    Returns:
        The reason; empty when it may pass.
    """
    host = headers.get(b"host", b"").decode("latin-1").lower()
    if unguarded and not is_loopback(_name(host)):
        return (
            f"expected the Host header to name this machine (localhost, 127.0.0.1 or [::1]),"
            f' got: "{host[:100]}"'
        )
    origin = headers.get(b"origin")
    # Behind a proxy that ends TLS we see http where the page says https.
    own = {f"{scheme}://{host}".encode("latin-1"), f"https://{host}".encode("latin-1")}
    if origin is not None and origin.lower() not in own:
        return f'a browser page of another origin asked: "{origin.decode("latin-1")[:100]}"'
    site = headers.get(b"sec-fetch-site")
    if site is not None and site not in _SAME_PAGE:
        return f'a browser page of another site asked: "{site.decode("latin-1")[:100]}"'
    return ""


def is_loopback(name: str) -> bool:
    """Whether a host name or address stands for this machine alone."""
    if name in _USUAL:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """The host without its port: `[::1]:8420` is `::1`."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
