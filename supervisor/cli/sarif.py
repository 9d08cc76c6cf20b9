"""A review as SARIF 2.1.0, which code hosts and editors read. Pure.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import quote

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_ROOT = "%SRCROOT%"

Finding = Mapping[str, Any]
Document = dict[str, Any]


def sarif(review: Mapping[str, Any], *, version: str) -> Document:
    """A whole SARIF log with one run.

    Args:
        review: What the role `quality` returns.
        version: This project's version.
    """
    findings: Sequence[Finding] = review["findings"]
    rules = list(dict.fromkeys(one["rule_id"] for one in findings))
    run: Document = {
        "tool": {
            "driver": {
                "name": "grok-supervisor quality",
                "version": version,
                "rules": [_rule(rule, findings) for rule in rules],
            }
        },
        "automationDetails": {"id": "grok-supervisor/quality/"},
        # Without a URI: where the repository lies is whoever reads this one's business.
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
        "invocations": [
            {"executionSuccessful": True, "toolExecutionNotifications": _notifications(review)}
        ],
        "results": [_result(one, rules) for one in findings],
    }
    if review.get("head"):
        run["properties"] = {"base": review["base"], "head": review["head"]}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: str, findings: Sequence[Finding]) -> Document:
    first = next(one for one in findings if one["rule_id"] == rule)
    source = first.get("source", "model")
    words = rule.replace("-", " ") if source == "model" else rule
    return {
        "id": rule,
        "shortDescription": {"text": words},
        "defaultConfiguration": {"level": first["severity"]},
        "properties": {"tags": [source]},
    }


def _result(finding: Finding, rules: Sequence[str]) -> Document:
    suggestion = finding["suggestion"].strip()
    parts = (finding["title"], finding["why"], f"Suggestion: {suggestion}" if suggestion else "")
    return {
        "ruleId": finding["rule_id"],
        "ruleIndex": rules.index(finding["rule_id"]),
        "level": finding["severity"],
        "rank": round(finding["confidence"] * 100, 1),
        "message": {"text": "\n\n".join(part.strip() for part in parts if part.strip())},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": _artifact(finding["file"]),
                    "region": {"startLine": finding["start"], "endLine": finding["end"]},
                }
            }
        ],
        # The name that GitHub looks for.
        "partialFingerprints": {"primaryLocationLineHash": _fingerprint(finding)},
        "properties": {
            "confidence": finding["confidence"],
            "source": finding.get("source", "model"),
        },
    }


def _artifact(path: str) -> Document:
    # A name that begins with / would be no relative one.
    return {"uri": quote(path.lstrip("/"), safe="/", errors="replace"), "uriBaseId": _ROOT}


def _fingerprint(finding: Finding) -> str:
    """The role's own; made of what it has where a review has none."""
    if finding.get("fingerprint"):
        return str(finding["fingerprint"])
    text = "\0".join((finding["rule_id"], finding["file"], finding["title"]))
    return f"{sha256(text.encode('utf-8', 'replace')).hexdigest()[:16]}:1"


def _notifications(review: Mapping[str, Any]) -> list[Document]:
    """What was not looked at, and linters that could not be used."""
    left_out = [
        {
            "level": "note",
            "message": {"text": f"Not shown to the model, or not whole: {one['why']}"},
            "locations": [{"physicalLocation": {"artifactLocation": _artifact(one["file"])}}],
        }
        for one in review.get("left_out", ())
    ]
    unusable = [
        {"level": "warning", "message": {"text": f"{one['linter']}: {one['error']}"}}
        for one in review.get("linted", ())
        if one["error"]
    ]
    return left_out + unusable
