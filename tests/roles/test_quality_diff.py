"""A diff is read exactly: which lines are new, whatever the files are called and hold."""

from __future__ import annotations

import difflib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roles.quality.diff import ChangedFile, Kind, read_diff
from roles.quality.excerpt import excerpt
from supervisor import JobFailed
from tests.roles.git_repository import GitRepository

LINE = st.sampled_from(
    ["", "x", "-- a/x", "++ b/x", "@@ -1 +1 @@", "\\ No newline", "diff --git a/q b/q", "\f", "y\r"]
) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=8)
TEXT = st.lists(LINE, max_size=12)


@settings(max_examples=60)
@given(before=TEXT, after=TEXT, context=st.integers(0, 4))
def test_every_line_has_the_number_it_has_in_the_new_file(
    before: list[str], after: list[str], context: int
) -> None:
    """A line that is new is found in the new file under its number, with its text."""
    lines = difflib.unified_diff(before, after, "a/f x", "b/f x\t", n=context, lineterm="")
    text = "\n".join(lines)
    if not text:
        return
    # A file with something in it behind: nothing of the first may be lost or taken for the second.
    second = "--- a/z\n+++ b/z\n@@ -1 +1 @@\n-1\n+2\n"
    first, last = read_diff(f"{text}\n{second}")
    assert (first.path, last.path) == ("f x", "z")
    assert last.added == {1: "2"}
    expected = {number: line.removesuffix("\r") for number, line in enumerate(after, start=1)}
    assert first.added.items() <= expected.items()
    kept = difflib.SequenceMatcher(None, before, after).get_matching_blocks()
    same = {block.b + offset + 1 for block in kept for offset in range(block.size)}
    assert first.added.keys() == expected.keys() - same


@settings(max_examples=60)
@given(before=TEXT, after=TEXT, room=st.integers(0, 300))
def test_places_are_changed_lines_that_were_shown(
    before: list[str], after: list[str], room: int
) -> None:
    """Whatever there is room for, places are new lines whose text stands in the excerpt."""
    text = "\n".join(difflib.unified_diff(before, after, "a/f", "b/f", lineterm=""))
    if not text:
        return
    (file,) = read_diff(text)
    shown = excerpt([file], room=room)
    rows = shown.text.split("\n")
    for number in shown.places["f"]:
        assert f"{number:>6} +{file.added[number].rstrip()}" in rows
    missing = file.added.keys() - shown.places["f"]
    assert sum(one.lines for one in shown.left_out) == len(missing)


NAMES = [
    *("plain.py", "with space.py", "a b/c b/d.py", 'quo"te.py', "ünï.py", "tab\there.py"),
    *("a/a.py", "back\\slash.py", "new\nline.py"),
]


@pytest.mark.slow
@pytest.mark.parametrize("option", ["", "noprefix", "mnemonicPrefix"])
def test_names_are_read_as_git_writes_them(tmp_path: Path, option: str) -> None:
    """Spaces, quotes, tabs and letters of any language in a name, and any prefix git may write."""
    repository = GitRepository.made(tmp_path / "r", {name: "1\n" for name in NAMES})
    repository.commit({name: "1\n2\n" for name in NAMES})
    config = ["-c", f"diff.{option}=true"] if option else []
    text = repository.git(*config, "diff", "HEAD~1", "HEAD")
    assert {file.path for file in read_diff(text + "\n")} == set(NAMES)
    assert all(file.added == {2: "2"} for file in read_diff(text + "\n"))


@pytest.mark.slow
def test_git_tells_of_more_than_lines(tmp_path: Path) -> None:
    """Moved, removed, binary, linked, empty files and modes are told apart."""
    repository = GitRepository.made(
        tmp_path / "r",
        {"old name.py": "1\n2\n3\n4\n", "gone.py": "1\n", "mode.sh": "x\n", "b.bin": b"\0\1"},
    )
    (repository.root / "old name.py").rename(repository.root / "new name.py")
    (repository.root / "mode.sh").chmod(0o755)
    (repository.root / "link").symlink_to("mode.sh")
    repository.commit(
        {"gone.py": None, "b.bin": b"\0\2", "new.bin": b"\0", "empty.py": "", "end.py": "no end"}
    )
    files = {file.path: file for file in read_diff(repository.git("diff", "-M", "HEAD~1") + "\n")}
    kinds = {name: file.kind for name, file in files.items() if file.kind is not Kind.TEXT}
    assert kinds == {"gone.py": Kind.REMOVED, "b.bin": Kind.BINARY, "new.bin": Kind.BINARY}
    assert files["new name.py"].before == "old name.py"
    assert files["link"].link
    assert [name for name, file in files.items() if file.added] == ["end.py", "link"]
    assert {"mode.sh", "empty.py"} <= files.keys()


def only(text: str) -> ChangedFile:
    """The one file of a diff."""
    (file,) = read_diff(text)
    return file


HUNK = "@@ -1 +1,2 @@\n one\n+two\n"


@pytest.mark.parametrize(
    ("text", "path", "kind"),
    [
        (f"Index: x\n====\n--- x\t(revision 1)\n+++ x\t(working copy)\n{HUNK}", "x", "TEXT"),
        (f"--- x.orig\t2026-01-01\n+++ x\t2026-01-02\n{HUNK}", "x", "TEXT"),
        ("Binary files a/x.png and b/x.png differ\n", "x.png", "BINARY"),
        ("Binary file x.png has changed\n", "x.png", "BINARY"),
        ("diff --git a/x b/x\nindex 1..2\nGIT binary patch\nliteral 1\nIcmZQz\n", "x", "BINARY"),
        (
            "diff --git a/s b/s\nindex 1..2 160000\n--- a/s\n+++ b/s\n@@ -1 +1 @@\n"
            "-Subproject commit 1\n+Subproject commit 2\n",
            "s",
            "SUBMODULE",
        ),
        ("diff --cc x.py\n--- a/x.py\n+++ b/x.py\n@@@ -1 -1 +1 @@@\n++x\n", "x.py", "COMBINED"),
        ("--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-one\n", "x", "REMOVED"),
    ],
)
def test_what_others_write_is_read(text: str, path: str, kind: str) -> None:
    """Diffs of svn and of diff itself, and what has no lines to point at."""
    file = only(text)
    assert (file.path, file.kind) == (path, Kind[kind])
    assert bool(file.added) is (file.kind is Kind.TEXT)


def test_letters_of_an_email_do_not_matter() -> None:
    """What stands around the diffs, as in a patch sent by mail, is passed over."""
    text = f"From: a\nSubject: b\n---\n x | 1 +\n\n--- a/x\n+++ b/x\n{HUNK}-- \n2.39.5\n\n"
    assert only(text).added == {2: "two"}


def test_files_without_an_end() -> None:
    """A last line without an end is a line, before the change and after it."""
    end = "\\ No newline at end of file\n"
    text = f"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-one\n{end}+two\n{end}--- a/y\n+++ b/y\n{HUNK}"
    assert [(file.path, file.added) for file in read_diff(text)] == [
        ("x", {1: "two"}),
        ("y", {2: "two"}),
    ]


def test_line_ends_of_windows() -> None:
    """A diff with CRLF is read as one without."""
    text = f"diff --git a/x b/x\n--- a/x\n+++ b/x\n{HUNK}".replace("\n", "\r\n")
    file = only(text)
    assert (file.path, file.added) == ("x", {2: "two"})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("hello", "found no file in it"),
        ("@@ -1 +1 @@\n-1\n+2\n", "line 1 belongs to no file"),
        ("--- a/x\n+++ b/x\n@@ -1,5 +1,5 @@\n one\n", "the hunk in line 3 ends too early"),
        ("--- a/x\n+++ b/x\n@@ -1,5 +1,5 @@\n one\nwhat\n", "line 5 belongs to no hunk: 'what'"),
    ],
)
def test_what_is_no_diff_is_refused_with_its_line(text: str, complaint: str) -> None:
    """Text that is no diff is refused, and the line is said."""
    with pytest.raises(JobFailed, match="expected a unified diff") as caught:
        read_diff(text)
    assert complaint in caught.value.message


def test_the_fixture_runs_git_only(tmp_path: Path) -> None:
    """A git that fails fails the test."""
    with pytest.raises(subprocess.CalledProcessError):
        GitRepository(tmp_path).git("log")
