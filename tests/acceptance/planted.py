"""A planted key and the search for it: whole, encoded, and in parts."""

from __future__ import annotations

import base64
import http.client
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

PART = 12
"""Characters of a key that count as a leak."""
_PREFIX = len("xai-")


def forms(key: str) -> set[bytes]:
    """What must not be found: every part of the key, and of it in base64, hex and a URL."""
    raw = key.encode()
    # In base64 a text looks different at each of three places that it can begin at.
    coded = [base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4] for shift in range(3)]
    texts = [raw[_PREFIX:], *coded, raw.hex().encode(), quote(key, safe="").encode()[_PREFIX:]]
    return {text[at : at + PART] for text in texts for at in range(len(text) - PART + 1)}


@dataclass
class Evidence:
    """Everything that came out, by where it did.

    Attributes:
        found: Bytes by their place.
    """

    found: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def add(self, place: str, data: bytes | str) -> bytes:
        """Keep what came out somewhere; gives it back."""
        data = data.encode() if isinstance(data, str) else data
        self.found[place] = self.found.get(place, b"") + data
        return data

    def fetch(
        self,
        base: str,
        method: str,
        path: str,
        *,
        body: str = "",
        headers: Mapping[str, str] | None = None,
        most: int = -1,
    ) -> bytes:
        """Make a request and keep all of its answer, headers included.

        Args:
            base: `http://127.0.0.1:PORT`.
            method: Its method.
            path: Its path.
            body: A JSON text.
            headers: Further headers.
            most: Bytes to read; all when negative.
        """
        connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=20)
        place = f"{method} {path}"
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            with connection.getresponse() as response:
                self.add(place, f"{response.status} {response.reason} {response.getheaders()}")
                try:
                    text = response.read() if most < 0 else response.read1(most)
                except http.client.IncompleteRead as cut:
                    text = cut.partial
            return self.add(place, text)
        except (OSError, http.client.HTTPException) as error:
            return self.add(place, repr(error))
        finally:
            connection.close()

    def add_files(self, folder: Path, *, but: frozenset[str] = frozenset()) -> None:
        """Keep the content and the names of all files below a folder.

        Args:
            folder: The folder.
            but: Names of files that hold the key by right.
        """
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name not in but:
                self.add(str(path), f"{path}\n")
                self.add(str(path), path.read_bytes())

    def add_processes(self, root: int) -> None:
        """Keep what the system shows of a process and its children, as far as it may be read."""
        for pid in (root, *_children(root)):
            for name in ("environ", "cmdline", "comm"):
                try:
                    self.add(f"/proc/{pid}/{name}", Path(f"/proc/{pid}/{name}").read_bytes())
                except OSError:
                    continue

    def leaks(self, *keys: str) -> list[str]:
        """Where a part of one of these keys stands, with a little of what is around it."""
        wanted = {form for key in keys for form in forms(key)}
        found: list[str] = []
        for place, data in self.found.items():
            at = next((at for form in wanted if (at := data.find(form)) >= 0), -1)
            if at >= 0:
                found.append(f"{place}: {data[max(0, at - 60) : at + 60]!r}")
        return found


def _children(root: int) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        pid = int(path.parent.name)
        if parent == root and pid != os.getpid():
            yield pid
            yield from _children(pid)
