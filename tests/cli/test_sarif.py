"""A review as SARIF: what the standard asks for, and what makes it useful to a code host."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.cli.sarif import sarif
from tests.findings import finding


def an_object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """The schema of an object that has these properties and no others."""
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def a_list(items: dict[str, Any]) -> dict[str, Any]:
    """The schema of a list of equal things."""
    return {"type": "array", "items": items}


TEXT = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}
LINE = {"type": "integer", "minimum": 1}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
MESSAGE = an_object({"text": TEXT})
BAG = {"type": "object"}
ARTIFACT = an_object({"uri": TEXT, "uriBaseId": TEXT})
PLACE = an_object(
    {
        "physicalLocation": an_object(
            {"artifactLocation": ARTIFACT}, region=an_object({"startLine": LINE, "endLine": LINE})
        )
    }
)
RULE = an_object(
    {"id": TEXT},
    shortDescription=MESSAGE,
    defaultConfiguration=an_object({"level": LEVEL}),
    properties=BAG,
)
RESULT = an_object(
    {"message": MESSAGE},
    ruleId=TEXT,
    ruleIndex=COUNT,
    level=LEVEL,
    rank={"type": "number", "minimum": 0, "maximum": 100},
    locations=a_list(PLACE),
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
    properties=BAG,
)
RUN = an_object(
    {"tool": an_object({"driver": an_object({"name": TEXT}, version=TEXT, rules=a_list(RULE))})},
    automationDetails=an_object({"id": TEXT}),
    originalUriBaseIds={
        "type": "object",
        "additionalProperties": an_object({"description": MESSAGE}),
    },
    invocations=a_list(
        an_object(
            {"executionSuccessful": {"type": "boolean"}},
            toolExecutionNotifications=a_list(
                an_object({"message": MESSAGE}, level=LEVEL, locations=a_list(PLACE))
            ),
        )
    ),
    results=a_list(RESULT),
    properties=BAG,
)
SCHEMA = an_object({"version": {"const": "2.1.0"}, "runs": a_list(RUN)}, **{"$schema": TEXT})
"""Of SARIF 2.1.0's schema what we write, with the standard's names, types and bounds."""
VALIDATOR: Any = jsonschema.Draft202012Validator(SCHEMA)


def marked(**changes: Any) -> dict[str, Any]:
    """A finding of some lines, with what tells it again."""
    return finding(**{"end": 6, "source": "model", "fingerprint": "abc:1", **changes})


def review(*findings: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A review as the role returns it."""
    return {"findings": list(findings), "files": 1, "changed_lines": 3, **changes}


def valid(document: dict[str, Any]) -> dict[str, Any]:
    """The one run of a log that is as it must be."""
    VALIDATOR.validate(document)
    run: dict[str, Any] = document["runs"][0]
    return run


def test_an_empty_review_is_a_log() -> None:
    """Nothing wrong is a run without results, which is how a host learns that it is mended."""
    run = valid(sarif(review(), version="1"))
    assert (run["results"], run["tool"]["driver"]["rules"]) == ([], [])


def test_a_finding_is_a_result() -> None:
    """Level, rule, lines without columns and the texts of a finding are where they belong."""
    other = marked(rule_id="ruff/F821", severity="warning", source="linter", suggestion="")
    run = valid(sarif(review(marked(), other, marked(start=9, end=9)), version="1"))
    first, second, third = run["results"]
    assert [one["ruleIndex"] for one in run["results"]] == [0, 1, 0]
    assert [one["id"] for one in run["tool"]["driver"]["rules"]] == ["lost-error", "ruff/F821"]
    assert (first["level"], second["level"], first["rank"]) == ("error", "warning", 90.0)
    assert first["message"]["text"] == (
        "removes a file\n\nnobody asked for it\n\nSuggestion: do not"
    )
    assert second["message"]["text"] == "removes a file\n\nnobody asked for it"
    place = third["locations"][0]["physicalLocation"]
    assert place["region"] == {"startLine": 9, "endLine": 9}
    assert first["partialFingerprints"] == {"primaryLocationLineHash": "abc:1"}


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("src/a.py", "src/a.py"),
        ("we ird/ünï.py", "we%20ird/%C3%BCn%C3%AF.py"),
        ("c:/x.py", "c%3A/x.py"),
        ("a#b?c%d.py", "a%23b%3Fc%25d.py"),
        ("/tmp/x.py", "tmp/x.py"),
        ("half \ud800.py", "half%20%3F.py"),
    ],
)
def test_paths_are_relative_uris(path: str, uri: str) -> None:
    """A path is percent-encoded, and relative to the root whatever it looks like."""
    run = valid(sarif(review(marked(file=path)), version="1"))
    location = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location == {"uri": uri, "uriBaseId": "%SRCROOT%"}
    assert location["uriBaseId"] in run["originalUriBaseIds"]


NAME = st.text(min_size=1, max_size=9).filter(lambda name: name.strip("/"))


@settings(max_examples=50)
@given(path=NAME, title=st.text(max_size=9), start=st.integers(1, 10**9), more=st.integers(0, 9))
def test_any_finding_makes_a_valid_log(path: str, title: str, start: int, more: int) -> None:
    """Whatever files and texts are called, the log is valid and the path can be read back."""
    found = marked(file=path, title=f"t{title}", start=start, end=start + more)
    run = valid(sarif(review(found), version="1"))
    uri = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert urlsplit(uri)[:2] == ("", "")
    assert unquote(uri) == path.lstrip("/")


def test_what_was_not_looked_at_is_told() -> None:
    """Files that were left out and linters that could not be used are notifications."""
    left_out = [{"file": "b.bin", "why": "a binary file", "lines": 0}]
    linted = [
        {"linter": "ruff", "files": 0, "findings": 0, "others": 0, "error": "not there"},
        {"linter": "json", "files": 1, "findings": 0, "others": 0, "error": ""},
    ]
    told = review(left_out=left_out, linted=linted, base="1", head="2")
    run = valid(sarif(told, version="1"))
    notes = run["invocations"][0]["toolExecutionNotifications"]
    assert [(one["level"], one["message"]["text"]) for one in notes] == [
        ("note", "Not shown to the model, or not whole: a binary file"),
        ("warning", "ruff: not there"),
    ]
    assert run["properties"] == {"base": "1", "head": "2"}


def test_without_a_fingerprint_one_is_made() -> None:
    """A review that has none, as older ones, gets fingerprints that do not depend on lines."""
    found = [marked(fingerprint="", start=line, end=line) for line in (1, 7)]
    run = valid(sarif(review(*found), version="1"))
    one, two = (result["partialFingerprints"] for result in run["results"])
    assert one == two != {"primaryLocationLineHash": ""}
