"""One process writes to a run: a lock that the system takes back when its process dies."""

import errno
import os
from contextlib import suppress
from pathlib import Path

from ..data import DataError


class Lock:
    """Held from its making until `release`; DataError where another process holds it.

    What is locked is the folder `of`, or a file with its lock at `path`. The lock is empty; one
    that a killed process has left locks nobody out.
    """

    def __init__(self, of: Path, path: Path | None = None):
        self.path, self.file = path or of / "run.lock", None
        while self.file is None:
            file = open(self.path, "ab")  # noqa: SIM115 (it stays open as long as the lock)
            try:
                _take(file)
            except (BlockingIOError, PermissionError):
                file.close()
                wait = "wait for its end, or name another with --out"
                raise DataError(f"another process is writing to {of}: {wait}") from None
            # the process before may have deleted its file between our two calls
            if self.path.exists() and os.path.samestat(os.stat(self.path), os.fstat(file.fileno())):
                self.file = file
            else:
                file.close()

    def release(self) -> None:
        """Give the lock back, and leave no file."""
        if self.file is not None:
            with suppress(OSError):
                self.path.unlink()  # Windows deletes no open file
            self.file.close()
            with suppress(OSError):
                os.name == "nt" and self.path.unlink()
            self.file = None


def _take(file) -> None:
    """BlockingIOError or PermissionError if another process has it."""
    try:
        import fcntl
    except ImportError:
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        # a file system without locks: then there is none
