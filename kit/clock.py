"""Business time, injected, so that days can be skipped in tests and the simulated WeChat can lead in development.

Signatures never use it: they carry wall-clock time (`time.time()`), since WeChat compares them with its own.
"""

import contextlib
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from pathlib import Path


class Clock(ABC):
    """Whoever tells the time. A class and no protocol: Litestar checks what it injects, with each request."""

    @abstractmethod
    def now(self) -> datetime:
        """The present moment, aware, UTC."""


class SystemClock(Clock):
    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock(Clock):
    """Stands still until moved: for tests."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime.now(UTC)

    def now(self) -> datetime:
        return self._now

    def advance(self, delta: timedelta) -> None:
        self._now += delta


class FollowedClock(Clock):
    """Wall-clock time plus the offset in seconds that another program keeps in a small text file.

    A missing or unreadable file means no offset. The file is read at most every 200 ms.
    """

    _REREAD_S = 0.2

    def __init__(self, offset_file: Path) -> None:
        self._file = offset_file
        self._offset = timedelta(0)
        self._read_at = -1.0

    def now(self) -> datetime:
        if time.monotonic() - self._read_at > self._REREAD_S:
            self._read_at = time.monotonic()
            with contextlib.suppress(OSError, ValueError, OverflowError):
                self._offset = timedelta(seconds=float(self._file.read_text()))
        return datetime.now(UTC) + self._offset
