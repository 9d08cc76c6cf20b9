"""What tells a finding from others, also after other lines have moved it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256

from .review import Finding


def with_fingerprints(
    findings: Sequence[Finding], added: Mapping[str, Mapping[int, str]]
) -> list[Finding]:
    """The findings, each with a fingerprint.

    It is made of the file and of what its line says, not of the line's number, nor of the model's
    words, which are others each time. Equal ones are counted.

    Args:
        findings: In their order.
        added: The text of the changed lines, by file and number.
    """
    seen: Counter[str] = Counter()
    marked: list[Finding] = []
    for one in findings:
        line = " ".join(added.get(one.file, {}).get(one.start, "").split())
        rule = one.rule_id if one.source == "linter" else "model"
        text = "\0".join((rule, one.file, line))
        digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        seen[digest] += 1
        marked.append(one.model_copy(update={"fingerprint": f"{digest}:{seen[digest]}"}))
    return marked
