"""The words of the memory: what is indexed, what is found, and the contract of an index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found.

    Attributes:
        source: The indexed folder.
        path: The file, relative to it.
        start: Its first line, from 1.
        end: Its last line.
        name: What it defines, such as `Parser.feed`, or its heading; empty for plain text.
        text: The passage.
        score: How well it fits; higher is better, and comparable within one search only.
    """

    source: str
    path: str
    start: int
    end: int
    name: str
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Indexed:
    """What one pass over a folder did.

    Attributes:
        source: The folder.
        files: Files in the index afterwards.
        changed: Files that were new or had changed.
        removed: Files that had gone.
        passages: Passages in the index afterwards.
        skipped: Files left out: binary, too large, unreadable or secret.
    """

    source: str
    files: int
    changed: int
    removed: int
    passages: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Source:
    """An indexed folder.

    Attributes:
        path: The folder.
        files: Files in it.
        passages: Passages of them.
        described: Files that have a description.
        updated: Unix time of the last pass, in seconds.
        kind: `repository` at the top of a git repository, `gone` where nothing is any more.
        kept: Whether it is kept up to date by itself, as `memory.folders` says.
    """

    path: str
    files: int
    passages: int
    described: int
    updated: float
    kind: Literal["repository", "folder", "gone"] = "folder"
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """One indexed file, whole.

    Attributes:
        source: The indexed folder.
        path: The file, relative to it.
        digest: Sums up its content.
        text: Its content.
    """

    source: str
    path: str
    digest: str
    text: str


class Index(Protocol):
    """What is known, and how to find it."""

    async def add(self, folder: str) -> Indexed:
        """Index a folder or a git repository, or bring it up to date.

        Raises:
            StoreError: The index cannot be written.
            JobFailed: The folder is none.
        """
        ...

    async def remove(self, folder: str) -> bool:
        """Forget a folder; tells whether it was known."""
        ...

    async def sources(self) -> list[Source]:
        """The indexed folders, by path."""
        ...

    async def search(self, query: str, *, source: str = "", limit: int = 10) -> list[Hit]:
        """Find passages, best first.

        Args:
            query: Words, in any language's form; nothing in it is syntax.
            source: Only this folder; all when empty.
            limit: Most to return.
        """
        ...

    async def undescribed(self, folder: str, *, limit: int) -> list[Document]:
        """Files of a folder that have no description as they are now."""
        ...

    async def describe(self, document: Document, text: str) -> None:
        """Keep a description, which is searched too, until the file changes."""
        ...
