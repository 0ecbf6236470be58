"""Lines of the log: those of one turn of the event loop go out by one write.

Context: a write is a call of the system, and the interpreter's lock is given away for it; under load that is a tenth of
what a request costs. Decision: what is said at level info waits for the end of the turn; warnings and worse go out at once,
after what waits. Consequence: a process that is killed loses the info lines of its last turn. Alternative:
structlog's own `BytesLogger`, which writes each by itself.
"""

import asyncio
import atexit
from collections import deque
from contextlib import suppress
from typing import IO


class Lines:
    """A logger for structlog that has rendered its events to bytes. Any thread may use it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._waiting: deque[bytes] = deque()
        self._expected_of: asyncio.AbstractEventLoop | None = None
        atexit.register(self.flush)

    def info(self, line: bytes) -> None:
        """At the end of this turn; without a loop, at once."""
        self._waiting.append(line)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if loop is not self._expected_of:
            self._expected_of = loop
            loop.call_soon(self.flush)

    def error(self, line: bytes) -> None:
        """At once."""
        self._waiting.append(line)
        self.flush()

    def debug(self, line: bytes) -> None:
        """As `info`."""
        self.info(line)

    warning = critical = fatal = error

    def flush(self) -> None:
        """Write what waits."""
        self._expected_of = None
        lines = []
        with suppress(IndexError):  # another thread may write it meanwhile
            while True:
                lines.append(self._waiting.popleft())
        if lines:
            self._file.write(b"\n".join([*lines, b""]))
            self._file.flush()
