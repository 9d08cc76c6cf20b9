"""Texts of roles and models, in the form in which every database takes them."""

from __future__ import annotations


def writable(text: str) -> str:
    r"""A text without what some database refuses: halves of surrogate pairs and NULs.

    Models emit the former. Each is written as its escape, such as `\ud800`.
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", r"\x00")
