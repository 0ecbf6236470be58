"""Starting processes, and what they cost, from `/proc`: CPU seconds and memory of a whole tree."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
_ROOT = Path(__file__).resolve().parents[1]
_PR_SET_PDEATHSIG = 1


def start(argv: Sequence[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a program of this project that ends with us, however we end; what it says goes to `log`."""
    libc = ctypes.CDLL(None)
    with log.open("wb") as written:
        return subprocess.Popen(
            argv,
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM),  # noqa: PLW1509 - we start from one thread
            start_new_session=True,  # a Ctrl-C in the terminal is for us alone
        )


def parent_of(pid: int) -> int:
    """Raises OSError when there is no such process."""
    return int(_stat(pid)[1])


def tree(root: int) -> list[int]:
    """The process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            try:
                children.setdefault(parent_of(int(entry.name)), []).append(int(entry.name))
            except OSError:
                continue  # it has just ended
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def cpu_s(root: int) -> float:
    """CPU seconds used so far by the tree, those of children that have ended included."""
    ticks = 0
    for pid in tree(root):
        try:
            ticks += sum(int(field) for field in _stat(pid)[11:15])
        except OSError:
            continue
    return ticks * _TICK_S


def rss_mib(pid: int) -> float:
    """Resident memory of one process."""
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def pss_mib(pids: Iterable[int]) -> float:
    """Memory of several processes, what they share counted once; 0 where the system does not tell."""
    total = 0
    for pid in pids:
        try:
            lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may hold spaces; the first is the state, then the parent."""
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
