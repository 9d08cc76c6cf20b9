"""An edit changes the one place that is meant, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.code.edit import EditRefused, broken, replaced

LINE = st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=12)
BLOCK = st.lists(LINE, min_size=1, max_size=6)


@given(before=BLOCK, old=BLOCK, new=BLOCK, after=BLOCK)
def test_all_else_stays(
    before: list[str], old: list[str], new: list[str], after: list[str]
) -> None:
    """What stands before and after the place is as it was."""
    head, tail = "\n".join(before) + "\n", "\n" + "\n".join(after)
    one, two = "\n".join(old), "\n".join(new)
    text = head + one + tail
    places = [at for at in range(len(text)) if text.startswith(one, at)]
    if not one.strip() or one == two or len(places) != 1:
        return
    assert replaced(text, old=one, new=two) == head + two + tail


@given(block=st.lists(LINE.filter(lambda line: line.strip() == line != ""), min_size=1, max_size=5))
@pytest.mark.parametrize("shift", ["    ", "\t"])
def test_another_indentation_is_the_same_place(block: list[str], shift: str) -> None:
    """A block that is shifted as a whole is found, and what replaces it is shifted too."""
    text = "first\n" + "".join(f"{shift}{line}\n" for line in block) + "last!\n"
    old = "\n".join(block)
    if old in text:
        return
    assert (
        replaced(text, old=old, new="new\n  more") == f"first\n{shift}new\n{shift}  more\nlast!\n"
    )


def test_less_indentation() -> None:
    """The block may stand there with less indentation too."""
    assert replaced("a\nb\n", old="    a\n    b", new="    c") == "c\n"


def test_line_ends_are_kept() -> None:
    """A file with CRLF stays one, whatever the model writes."""
    assert replaced("a\r\nb\r\nc\r\n", old="a\nb", new="x\ny") == "x\r\ny\r\nc\r\n"


@pytest.mark.parametrize(
    ("text", "old", "said"),
    [
        ("a\na\n", "a", "2 times, at lines 1, 2"),
        ("a\na\na\n", "a\na", "2 times, at lines 1, 2"),
        ("    a\n\n        a\n", "   a   b", "does not stand"),
        ("def f(x):\n    return x\n", "def f(y):\n    return x", "lines, 1 to 2"),
        ("a\n", "a", "nothing would change"),
        ("a\n", " \n", "old is empty"),
        ("  a\n  b\n    a\n    b\n", "a\nb", "2 times, but"),
    ],
)
def test_what_is_not_clear_is_refused(text: str, old: str, said: str) -> None:
    """Where the place is not one place the text says what to do."""
    with pytest.raises(EditRefused, match=said):
        replaced(text, old=old, new="a" if said.startswith("nothing") else "new")


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        ("a.py", "x = 1", "x ="),
        ("a.json", "{}", "{"),
        ("a.toml", "x = 1", "x ="),
        ("a.txt", "", ""),
    ],
)
def test_what_breaks_a_file_is_known(path: str, good: str, bad: str) -> None:
    """A file that was right must stay so; one that was broken may be mended step by step."""
    assert bool(broken(path, good, bad)) is (good != bad)
    assert bool(broken(path, None, bad)) is (good != bad)
    assert broken(path, bad, bad) == ""
    assert broken(path, bad, good) == ""
