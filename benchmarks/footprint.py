"""What a process holds, seen from outside: memory, open files, threads, connections. Linux only."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_OPEN = frozenset({"01", "08"})
"""States of a TCP connection that somebody still holds: established, and closed by the other."""
_SOCKET = re.compile(r"socket:\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds at a moment.

    Attributes:
        resident: Bytes in RAM.
        own: Those of them that it shares with nobody and that are no file's: heap and stacks.
        files: Open file descriptors, by what they are: a file's name, `socket`, `pipe` …
        threads: Threads.
        connections: TCP connections to the port that was asked about.
    """

    resident: int
    own: int
    files: Counter[str]
    threads: int
    connections: int


def footprint(pid: int, *, port: int) -> Footprint:
    """Look at a process.

    Args:
        pid: The process.
        port: Whither its connections are counted.

    Raises:
        FileNotFoundError: There is no such process, or this is not Linux.
    """
    place = Path(f"/proc/{pid}")
    memory = _fields(place / "smaps_rollup")
    links = [_target(link) for link in (place / "fd").iterdir()]
    inodes = {match[1] for link in links if (match := _SOCKET.fullmatch(link))}
    return Footprint(
        resident=memory["Rss"],
        own=memory["Anonymous"],
        files=Counter(_kind(link) for link in links if link),
        threads=_threads(place),
        connections=len(inodes & _towards(place, port)),
    )


def _fields(file: Path) -> dict[str, int]:
    """Sizes in bytes, by name."""
    lines = re.findall(r"^(\w+):\s+(\d+) kB$", file.read_text(), re.MULTILINE)
    return {name: int(size) * 1024 for name, size in lines}


def _threads(place: Path) -> int:
    return len(list((place / "task").iterdir()))


def _kind(target: str) -> str:
    return target.rpartition("/")[2] if target.startswith("/") else target.partition(":")[0]


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""  # closed since it was listed


def _towards(place: Path, port: int) -> set[str]:
    """Inodes of the open TCP sockets whose other end is on a port."""
    found: set[str] = set()
    for name in ("tcp", "tcp6"):
        for line in (place / "net" / name).read_text().splitlines()[1:]:
            cells = line.split()
            if cells[3] in _OPEN and int(cells[2].rpartition(":")[2], 16) == port:
                found.add(cells[9])
    return found
