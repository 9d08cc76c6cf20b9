"""What is told of a crash."""

from __future__ import annotations

from supervisor.supervision.crash import one_line, traceback_text


def fail(depth: int) -> None:
    """Fail some calls further down."""
    if depth == 0:
        raise ValueError("deep")
    fail(depth - 1)


def caught(depth: int = 0) -> ValueError:
    """An error with a traceback."""
    try:
        fail(depth)
    except ValueError as error:
        return error
    raise AssertionError("it did not fail")


def test_a_traceback_names_files_lines_and_functions() -> None:
    """The traceback has the places but no source text, which would have to be read."""
    first, *frames, last = traceback_text(caught(1)).splitlines()
    assert first == "Traceback (most recent call last):"
    assert [line.rpartition(" ")[2] for line in frames] == ["caught", "fail", "fail"]
    assert all(line.startswith(f'  File "{__file__}", line ') for line in frames)
    assert last == "ValueError: deep"


def test_a_traceback_tells_what_led_to_it() -> None:
    """Causes and contexts come first, suppressed ones are left out."""
    effect = KeyError("x")
    effect.__cause__ = caught()
    assert "ValueError: deep\nwhich led to:\n" in traceback_text(effect)
    effect = KeyError("x")
    effect.__context__ = caught()
    assert "ValueError: deep\nduring which:\n" in traceback_text(effect)
    effect.__suppress_context__ = True
    assert "deep" not in traceback_text(effect)


def test_a_traceback_is_bounded() -> None:
    """Endless recursion and groups in groups do not make an endless text."""
    group = ExceptionGroup[Exception]("most", [caught(500)])
    for _ in range(100):
        group = ExceptionGroup("more", [group])
        group.__context__ = caught()
    assert traceback_text(caught(500)).count("\n") < 60
    assert traceback_text(group).count("\n") < 500


def test_one_line_is_one_line() -> None:
    """Line breaks, empty messages and groups all end up as one line."""
    assert one_line(ValueError("a\n  b")) == "ValueError: a b"
    assert one_line(ValueError()) == "ValueError"
    assert one_line(ExceptionGroup("g", [ValueError("a"), KeyError("b")])) == (
        "ValueError: a; KeyError: 'b'"
    )
