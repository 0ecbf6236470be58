"""Keep one process for an owner: when the owner goes, however it goes, the process is stopped.

A program of its own (``python -I -S keeper.py ORDERS``) that imports nothing but the standard library. Standard input
is a pipe whose other end only the owner holds; end of file means "stop". ``ORDERS`` is JSON:

- ``argv``: the command to run;
- ``stops``: ``[[signal number, seconds to wait], ...]``, tried in turn, then SIGKILL;
- ``give``: file descriptors the process inherits;
- ``account``: ``[uid, gid]`` it runs as, or null.

It exits with the process's own exit code (128 + signal number when a signal ended it).
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypedDict

_PR_SET_PDEATHSIG = 1
_ASKED_TO_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Orders(TypedDict):
    """What the owner asks for; see the module."""

    argv: list[str]
    stops: list[tuple[int, float]]
    give: list[int]
    account: tuple[int, int] | None


class Keeper:
    """One child, the owner's pipe, and the signals that come in between."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.asked = False
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in _ASKED_TO_STOP:
            signal.signal(number, self._ask)
        self.child = self._start()

    def run(self) -> int:
        """Wait for the child or the owner, stop what is to be stopped, and return the exit code."""
        self._wait(None)
        for number, seconds in [*self.orders["stops"], (signal.SIGKILL, None)]:
            if self._ended():
                break
            os.kill(self.child.pid, number)  # not reaped yet, so the number is still our child's
            self._wait(seconds)
        if sys.platform != "darwin":  # there the child is reaped by now, and its number may be anybody's
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.child.pid, signal.SIGKILL)  # what the child left behind, while its number is still held
        code = self.child.wait()
        return code if code >= 0 else 128 - code

    def _start(self) -> subprocess.Popen[bytes]:
        uid, gid = self.orders["account"] or (None, None)
        return subprocess.Popen(
            self.orders["argv"],
            stdin=subprocess.DEVNULL,
            pass_fds=self.orders["give"],
            start_new_session=True,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            preexec_fn=_end_with(os.getpid(), self.orders["stops"]),  # noqa: PLW1509 - one thread, nothing to deadlock
        )

    def _ask(self, *_: object) -> None:
        self.asked = True

    def _ended(self) -> bool:
        """Whether the child is over; it is left unreaped, so that its number stays ours."""
        if sys.platform == "darwin":
            return self.child.poll() is not None
        return os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _wait(self, seconds: float | None) -> None:
        """Wait for the child's end: as long as the owner wants it (``None``, the first time), else up to ``seconds``."""
        owner = [] if self.asked or seconds is not None else [0]
        while not self._ended() and not (owner and self.asked):
            ready, _, _ = select.select([self._wake, *owner], [], [], seconds)
            if not ready:
                return
            if self._wake in ready:
                os.read(self._wake, 512)
            if 0 in ready and not os.read(0, 512):
                self.asked = True


def _end_with(keeper: int, stops: Sequence[tuple[int, float]]) -> Callable[[], None] | None:
    """Have the kernel send the first stop signal should this very keeper be killed (Linux only)."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def ask_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, stops[0][0])
        if os.getppid() != keeper:
            os._exit(1)

    return ask_kernel


if __name__ == "__main__":
    sys.exit(Keeper(json.loads(sys.argv[1])).run())
