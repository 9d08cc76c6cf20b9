"""The key is in memory and on the wire, and nowhere else."""

from __future__ import annotations

import base64
import copy
import pickle
import re
import time
import traceback
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from supervisor.errors import InvalidRequest
from supervisor.messages import Request
from supervisor.upstream.key import Key
from tests.acceptance.planted import forms
from tests.upstream.api import FAKE_KEY, ScriptedApi, upstream_of


def test_a_key_shows_nothing() -> None:
    """No way of turning a key into text shows it."""
    key = Key(FAKE_KEY)
    for text in (repr(key), str(key), f"{key}", f"{[key]}", "%s" % key, ascii(key)):  # noqa: UP031
        assert FAKE_KEY not in text
        assert "test" not in text


def test_a_key_is_never_pickled() -> None:
    """What is pickled ends up in files and in other processes; a key must not."""
    with pytest.raises(TypeError):
        pickle.dumps(Key(FAKE_KEY))
    with pytest.raises(TypeError):
        copy.deepcopy(Key(FAKE_KEY))


def test_authorization() -> None:
    """The header carries the key; a server that wants none gets none."""
    assert Key(FAKE_KEY).authorization() == {"authorization": f"Bearer {FAKE_KEY}"}
    assert Key("").authorization() == {}


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: {FAKE_KEY}. You can obtain one from https://console.x.ai",
        f'{{"code":"x","error":"{FAKE_KEY}"}}',
        f"Bearer {FAKE_KEY}",
        f"{FAKE_KEY}{FAKE_KEY}",
        "xai-somebody-elses-not-a-real-key",
        "gsk_not-a-real-key-of-another-vendor",
        "sk-not-a-real-key-of-a-third-vendor",
    ],
)
def test_redaction(text: str) -> None:
    """This key, and whatever looks like one, is taken out of a text; the words around it stay."""
    redacted = Key(FAKE_KEY).redact(text)
    assert "not-a-real-key" not in redacted
    assert "***" in redacted
    if text.startswith("Incorrect"):
        assert redacted.startswith("Incorrect API key provided: ***")


@given(before=st.text(), after=st.text(), secret=st.text("abcXYZ019-_.", min_size=8))
def test_any_secret_is_redacted(before: str, after: str, secret: str) -> None:
    """Whatever a key looks like, and wherever it stands, it is gone afterwards."""
    redacted = Key(secret).redact(before + secret + after)
    assert secret not in redacted


def test_the_shortest_keys_are_redacted() -> None:
    """No text is too short to be looked at, if it can hold a key at all."""
    assert Key("abcdefgh").redact("abcdefgh") == "***"
    assert Key("").redact("sk-" + "a" * 12) == "sk-***"
    assert Key(FAKE_KEY).redact("sk_" + "a" * 12) == "sk-***"


@pytest.mark.parametrize("word", ["x", "{", "error", "EMPTY"])
def test_a_word_is_no_secret(word: str) -> None:
    """Servers of one's own take any text for a key: messages keep their words and their form."""
    key = Key(FAKE_KEY)
    key.hide(SecretStr(word))
    text = f'{{"error":"expected {word}"}}'
    assert (key.redact(text), Key(word).redact(text)) == (text, text)


LONG = "made+up/0123456789abcdefghijklmnopqrstuvwxyz"


@given(
    before=st.text(),
    after=st.text(),
    start=st.integers(0, len(LONG) - 12),
    length=st.integers(12, len(LONG)),
)
def test_any_part_is_redacted(before: str, after: str, start: int, length: int) -> None:
    """A part of 12 characters is too many, wherever it begins in the key and in the text."""
    part = LONG[start : start + length]
    assert part not in Key(LONG).redact(before + part + after)


@pytest.mark.parametrize("secret", ["x" * 5000, "ab" * 2500, "0" * 40])
def test_a_key_that_repeats_itself_costs_no_time(secret: str) -> None:
    """Whatever a key is made of, a long text is looked through at once."""
    key = Key(secret)
    began = time.perf_counter()
    assert key.redact(f"Bearer {secret}.") == "Bearer ***."
    key.redact(secret[:2] * 10_000)
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize("around", ["", "a", "ab", "Bearer "])
def test_another_form_is_redacted(around: str) -> None:
    """In base64, in hex and in a URL no part of the key is left that says anything."""
    key, known = Key(LONG), forms(f"xai-{LONG}")
    raw = f"{around}{LONG}".encode()
    for text in (base64.b64encode(raw).decode(), raw.hex(), raw.hex().upper(), quote(LONG, "")):
        redacted = key.redact(f"it was {text}.")
        assert "***" in redacted
        assert not [form for form in known if form in redacted.encode()]


def test_an_answer_is_cleaned() -> None:
    """An answer that repeats a key passes without it, and any other byte for byte."""
    key = Key(LONG)
    key.hide(SecretStr(FAKE_KEY))
    assert key.clean(f'["{LONG}", "{FAKE_KEY}"]'.encode()) == b'["***", "***"]'
    assert key.clean(b'{"x": "\xff made+up"}') == b'{"x": "\xff made+up"}'


@pytest.mark.parametrize("length", range(12, 27))
def test_a_key_that_was_cut_is_redacted(length: int) -> None:
    """An error shows the beginning of a long value: then a key may stand there in part."""
    key = Key("0ld-long-and-like-the-other")
    key.change(SecretStr("0ld-long-and-like-no-0ther"))
    for secret in ("0ld-long-and-like-the-other", "0ld-long-and-like-no-0ther"):
        assert key.redact(f'got: "a{secret[:length]}…"') == 'got: "a***…"'


def test_a_text_without_a_key_stays() -> None:
    """Redaction leaves ordinary words alone, with a key or without."""
    text = "a task-scheduler risk-management note on sk-learn"
    assert Key(FAKE_KEY).redact(text) == text
    assert Key("").redact(text) == text


async def test_no_traceback_holds_the_key() -> None:
    """A traceback with local variables, as error reporters send it, stays harmless."""
    upstream = upstream_of(ScriptedApi())
    asked = Request(id="a", traffic_class="code", body=b"{nope", stream=True)
    text = ""
    try:
        async with upstream.stream(asked):
            pass
    except InvalidRequest as error:
        lines = traceback.TracebackException.from_exception(error, capture_locals=True)
        text = "".join(lines.format())
    assert FAKE_KEY not in text


def test_every_key_there_was_is_redacted() -> None:
    """Old ones, the one in use and those that were only tried: none stands in a text any more."""
    key = Key("0ld-0ld-0ld-0ld")
    key.change(SecretStr("n3w-n3w-n3w-n3w"))
    key.hide(SecretStr("only-tried"))
    text = "0ld-0ld-0ld-0ld, n3w-n3w-n3w-n3w and only-tried"
    assert key.redact(text) == "***, *** and ***"
    assert key.authorization() == {"authorization": "Bearer n3w-n3w-n3w-n3w"}


def test_fingerprints_tell_keys_apart() -> None:
    """A fingerprint is the same for the same key, and holds no part of any."""
    one, same, other = Key(FAKE_KEY), Key(FAKE_KEY), Key(FAKE_KEY + "2")
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert re.fullmatch(r"[0-9a-f]{8}", one.fingerprint)
    assert Key("").fingerprint == ""
