"""A store's place on this machine: one process at a time has it, whatever becomes of the files.

A lock on a file says nothing once the file is gone: whoever comes next makes a new one. So on
Linux a name is taken as well, that no file stands for and that the system takes back when the
process dies: an abstract Unix socket. It names the folder above the store's by its number, so that
it is the same for everybody who sees that folder, and another one in another container.
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import sys
from pathlib import Path


class Place:
    """The place of one store.

    Args:
        path: A file of the store. The folder above its own is made when the place is taken.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: socket.socket | None = None

    def __repr__(self) -> str:
        return f"<Place of {self._path} {'held' if self.held else 'not held'}>"

    @property
    def held(self) -> bool:
        """Whether this process has it, so that no other one can."""
        return self._mark is not None

    def take(self) -> bool:
        """Take it.

        Returns:
            False when another process has it. Where there are no such places it is True, and the
            place is not held.

        Raises:
            OSError: The folder above the store's cannot be made.
        """
        if self.held or sys.platform != "linux":
            return True
        name = self._name()
        mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            mark.bind(name)
        except OSError as error:
            mark.close()
            # Anything else: something forbids such names, as a sandbox may.
            return error.errno != errno.EADDRINUSE
        self._mark = mark
        return True

    def leave(self) -> None:
        """Let another process have it."""
        mark, self._mark = self._mark, None
        if mark is not None:
            mark.close()

    def _name(self) -> bytes:
        folder = self._path.absolute().parent
        above = folder.parent
        above.mkdir(parents=True, exist_ok=True)
        found = above.stat()
        words = (os.getuid(), found.st_dev, found.st_ino, folder.name, self._path.name)
        told = "\n".join(str(word) for word in words)
        return b"\0supervisor-" + hashlib.sha256(told.encode(errors="surrogateescape")).digest()
