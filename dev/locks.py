"""File locks: who owns a folder, told by the kernel, gone with the last process that holds one."""

import fcntl
import os
import time
from pathlib import Path
from typing import Self


class Lock:
    """An exclusive lock on a file. The processes that inherit its descriptor share it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.descriptor = -1

    def take(self, seconds: float = 0) -> bool:
        """Try for up to ``seconds`` and say whether it is ours. Raises OSError where the file cannot be made."""
        self.descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    self.release()
                    return False
                time.sleep(0.02)
            else:
                return True

    def release(self) -> None:
        """Close our descriptor; the lock lives on in the processes that inherited it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
