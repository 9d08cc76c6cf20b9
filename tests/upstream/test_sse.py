"""Server-sent events: the same events however the bytes are cut, and not a byte changed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.upstream.sse import Event, EventSplitter

TEXT = st.text("ab: é\t{}[]", max_size=8).map(str.strip)
LINES = st.lists(
    st.one_of(
        TEXT.map(lambda text: ("data: ", text)),
        TEXT.map(lambda text: ("data:", text)),
        TEXT.map(lambda text: (": ", text)),
        TEXT.map(lambda text: ("event: ", text)),
    ),
    min_size=1,
    max_size=4,
)
STREAMS = st.tuples(st.lists(LINES, max_size=6), st.sampled_from(["\n", "\r\n"]))


def encode(stream: tuple[list[list[tuple[str, str]]], str]) -> tuple[bytes, list[bytes]]:
    """The bytes of a stream and the data of each of its events."""
    events, newline = stream
    raw = "".join(
        "".join(field + text + newline for field, text in lines) + newline for lines in events
    )
    data = [
        "\n".join(text for field, text in lines if field.startswith("data")).encode()
        for lines in events
    ]
    return raw.encode(), data


def split(raw: bytes, cuts: list[int]) -> tuple[list[Event], bytes]:
    """Feed a stream cut at these places; its events and what was left over."""
    splitter = EventSplitter()
    places = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    events = [event for start, end in pairwise(places) for event in splitter.feed(raw[start:end])]
    return events, splitter.rest()


@settings(max_examples=50)
@given(
    stream=STREAMS,
    tail=st.sampled_from([b"", b"data: half", b"data: x\n"]),
    cuts=st.lists(st.integers(0, 999)),
)
def test_any_chunking_gives_the_same_events(
    stream: tuple[list[list[tuple[str, str]]], str], tail: bytes, cuts: list[int]
) -> None:
    """Chunks are an accident of the network: they change neither the events nor a byte."""
    raw, data = encode(stream)
    events, rest = split(raw + tail, cuts)
    assert [event.data for event in events] == data
    assert b"".join(event.raw for event in events) == raw
    assert rest == tail


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_byte_by_byte(newline: bytes) -> None:
    """A stream that comes one byte at a time is the same stream."""
    raw = newline.join(
        [b": hi", b"", b"event: x", b"data: a", b"data: b", b"", b"data: c", b"", b""]
    )
    events, rest = split(raw, list(range(len(raw))))
    assert [event.data for event in events] == [b"", b"a\nb", b"c"]
    assert rest == b""


@pytest.mark.parametrize("raw", [b"data: a\r\rdata: b\r\r", b"data: a\n\r\ndata: b\n\r\n"])
def test_every_line_ending_of_the_standard(raw: bytes) -> None:
    r"""Lines of an event stream end with \n, \r\n or \r, in any mixture."""
    events, _ = split(raw, [])
    assert [event.data for event in events] == [b"a", b"b"]


@pytest.mark.parametrize(
    "blank", [b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r\n", b"\r\n\n", b"\r\r\n", b"\n\r"]
)
def test_any_cut_of_any_blank_line(blank: bytes) -> None:
    """A blank line of any form ends an event once, wherever the network cuts it."""
    raw = b"data: a" + blank + b"data: b" + blank + b"data: c\n\n"
    everywhere = list(range(len(raw)))
    for cuts in ([], everywhere, *([place] for place in everywhere)):
        events, rest = split(raw, cuts)
        assert [event.data for event in events] == [b"a", b"b", b"c"]
        assert b"".join(event.raw for event in events) + rest == raw


def test_a_huge_event_is_refused() -> None:
    """What never ends is no event stream, and memory is finite."""
    splitter = EventSplitter()
    part = b"x" * 2**22
    for _ in range(4):
        assert list(splitter.feed(part)) == []
    with pytest.raises(ValueError, match="an event of more than 16777216 bytes"):
        list(splitter.feed(b"x"))


def test_many_megabytes_of_events_are_fine() -> None:
    """The bound is for one event, not for a stream."""
    splitter = EventSplitter()
    event = b"data: " + b"x" * 2**20 + b"\n\n"
    assert sum(len(list(splitter.feed(event))) for _ in range(18)) == 18
