"""Blows at Postgres: stopped at once, killed whole, one of its processes killed. Only ever at our own cluster's processes."""

import os
import random
import signal
from contextlib import suppress
from pathlib import Path

from processes import fetch
from till import until

from dev.postgres import Cluster


def stop_at_once(cluster: Cluster) -> None:
    """`pg_ctl stop -m immediate`: no checkpoint, no farewell; recovery at the next start, on the same port."""
    os.kill(_postmaster(cluster), signal.SIGQUIT)
    _start_again(cluster)


def kill_all(cluster: Cluster) -> None:
    """Every process of it, as a machine that loses its power."""
    kill_processes(_postmaster(cluster))
    _start_again(cluster)


def kill_processes(postmaster: int) -> None:
    """SIGKILL, to it and to all that it made."""
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for pid in (postmaster, *map(int, children)):
        with suppress(ProcessLookupError):  # it had just ended
            os.kill(pid, signal.SIGKILL)


def kill_backend(cluster: Cluster, chance: random.Random) -> None:
    """One that serves the shop. Postgres ends all the others itself, recovers, and takes connections again."""
    rows = fetch(
        cluster.superuser_url(),
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'shop%' AND backend_type = 'client backend'",
    )
    victim = int(chance.choice(sorted(row["pid"] for row in rows)))
    assert Path(f"/proc/{victim}/cmdline").read_bytes().startswith(b"postgres:"), "not ours to kill"
    os.kill(victim, signal.SIGKILL)
    until("the backend is gone", lambda: not Path(f"/proc/{victim}").exists())
    until("Postgres takes connections", lambda: answers(cluster), 60)


def answers(cluster: Cluster) -> bool:
    try:
        return bool(fetch(cluster.app_url(), "SELECT 1"))
    except Exception:  # noqa: BLE001  (each stage of a recovery says no in its own way)
        return False


def _postmaster(cluster: Cluster) -> int:
    pgdata = cluster.directory / "pgdata"
    postmaster = int((pgdata / "postmaster.pid").read_text().splitlines()[0])
    assert str(pgdata).encode() in Path(f"/proc/{postmaster}/cmdline").read_bytes(), "not ours to kill"
    return postmaster


def _start_again(cluster: Cluster) -> None:
    until("Postgres is gone", lambda: cluster.exit_code() is not None)
    cluster.stop()
    cluster.start()
