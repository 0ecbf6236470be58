"""When to stop: a signal asked for it, or the program that started us is gone."""

import os
import signal
import time


class Stopped(Exception):
    """Somebody asked us to stop; not a failure."""


class Stopping:
    """Notes SIGINT, SIGTERM and SIGHUP, however often they come; nothing is torn down inside a signal handler."""

    def __init__(self, *, with_parent: bool) -> None:
        self._asked = False
        self._parent = os.getppid() if with_parent else None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # `nohup` means it
                signal.signal(number, self._ask)

    def pause(self, seconds: float) -> None:
        """Sleep. Raises Stopped if it is time to stop."""
        self.check()
        time.sleep(seconds)
        self.check()

    def check(self) -> None:
        """Raise Stopped if it is time to stop."""
        if self._asked or (self._parent is not None and os.getppid() != self._parent):
            raise Stopped

    def _ask(self, *_: object) -> None:
        self._asked = True
