"""The API key: found under two names, and told apart from what is often pasted in its place."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import SecretStr

from supervisor.config.environment import Environment
from supervisor.config.report import Report

NAMES = ("GROK_API_KEY", "XAI_API_KEY")


def find_key(environment: Environment, report: Report, *, base_url: str | None) -> SecretStr | None:
    """The API key, if there is one.

    Args:
        environment: Where to look.
        report: Takes what is wrong with it.
        base_url: The API it is for; None when that is not known, so nothing is said about it.
    """
    found = [variable for name in NAMES if (variable := environment.get(name))]
    if len({variable.text for variable in found}) > 1:
        origins = " and ".join(variable.origin for variable in found)
        report.add("", f"{origins} hold different keys: keep one of them")
    for variable in found:
        problem = _problem(variable.text, base_url=base_url)
        if problem:
            report.add(variable.origin, problem)
    return SecretStr(found[0].text) if found else None


def _problem(text: str, *, base_url: str | None) -> str:
    if re.search(r"\s", text):
        return "expected a key without white space: copy it again, without line breaks"
    if re.search(r"[\"'`]", text):
        return "expected a key without quotation marks: remove them"
    if not text.isascii() or not text.isprintable():
        return "expected a key of printable ASCII characters: copy it again"
    host = urlsplit(base_url or "").hostname or ""
    return _stranger(text, host) if f".{host}".endswith(".x.ai") else ""


def _stranger(text: str, host: str) -> str:
    """What to say of another vendor's key at xAI; a key of no known form may be theirs."""
    expected = "expected a key of console.x.ai, which starts with xai-"
    if text.startswith("gsk_"):
        return f"this is a Groq key, not a Grok key; {expected}"
    if text.startswith("sk-"):
        return (
            f"this looks like an OpenAI key, but requests go to {host}; {expected}, "
            "or set upstream.base_url to the key's own API"
        )
    return ""
