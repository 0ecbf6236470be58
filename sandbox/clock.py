"""Business time: the wall clock plus an offset that anyone may push forward.

It drives expiry, repeats, codes, times on the wire and numbers; signatures carry the wall clock, because the other
side compares them with its own.
"""

import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from sandbox import files

BEIJING = timezone(timedelta(hours=8))
"""WeChat writes every time with this offset."""

FURTHEST_S = 20 * 365 * 86400
"""How far the clock may be pushed: beyond, calendars and four-digit years would break first."""


class Clock:
    """Remembers its offset in a file of decimal text, which another program may follow."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.offset_s = float(path.read_text()) if path.exists() else 0.0
        self._write()

    def now(self) -> float:
        """Seconds since 1970, in business time."""
        return time.time() + self.offset_s

    def advance(self, seconds: float) -> None:
        """Push business time forward. Raises ``ValueError`` when it would go back or too far."""
        if not 0 <= seconds <= FURTHEST_S or self.offset_s + seconds > FURTHEST_S:
            raise ValueError("The clock goes forward only, and at most twenty years in all.")
        self.offset_s += seconds
        self._write()

    def _write(self) -> None:
        text = f"{self.offset_s:.3f}".rstrip("0").rstrip(".")
        files.replace(self._path, text + "\n")


def on_the_wire(moment: float) -> str:
    """RFC 3339 in Beijing time, to the second, as WeChat Pay writes it."""
    return datetime.fromtimestamp(moment, BEIJING).isoformat(timespec="seconds")


def day(moment: float) -> str:
    """The Beijing day as eight digits."""
    return datetime.fromtimestamp(moment, BEIJING).strftime("%Y%m%d")
