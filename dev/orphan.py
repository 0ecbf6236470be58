"""A Postgres that outlived its owner: recognised beyond doubt, and only then stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from dev.trouble import Trouble

_STOP_SECONDS = 30.0


def stop(pgdata: Path) -> None:
    """Fast-stop the server that ``postmaster.pid`` names, if it really is a Postgres on ``pgdata``; else do nothing.

    The number alone proves nothing: after a crash it may by now be anybody's. Raises Trouble if ours does not end.
    """
    pid = _named(pgdata)
    if pid is None or not serves(pid, pgdata):
        return
    _signal(pid, pgdata)
    deadline = time.monotonic() + _STOP_SECONDS
    while serves(pid, pgdata):
        if time.monotonic() > deadline:
            raise Trouble(
                f"A PostgreSQL left by an earlier run (process {pid}) on {pgdata} does not end: stop it first."
            )
        time.sleep(0.02)


def serves(pid: int, pgdata: Path) -> bool:
    """Whether process ``pid`` is a Postgres whose data folder is ``pgdata``."""
    if sys.platform != "linux":
        shown = subprocess.run(
            ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        program, _, arguments = shown.stdout.strip().partition(" ")
        return Path(program).name == "postgres" and f"-D {pgdata} " in f"{arguments} "
    process = Path("/proc") / str(pid)
    try:
        program = (process / "exe").readlink().name.removesuffix(" (deleted)")
        return program == "postgres" and (process / "cwd").samefile(pgdata)  # a server stays in its data folder
    except OSError:
        return False


def _named(pgdata: Path) -> int | None:
    try:
        number = int((pgdata / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return number if number > 1 else None


def _signal(pid: int, pgdata: Path) -> None:
    if sys.platform != "linux":
        os.kill(pid, signal.SIGINT)
        return
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if serves(pid, pgdata):  # once more, now that the handle pins the process: the number cannot change hands
            signal.pidfd_send_signal(handle, signal.SIGINT)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)
