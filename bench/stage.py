"""The servers under measurement: an embedded PostgreSQL that really syncs, and the shop as users run it."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from bench import counting, processes
from bench.keys import Merchant
from dev import parts, ports
from dev.postgres import Cluster
from dev.trouble import Trouble

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]
POSTGRES = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "effective_cache_size": "4GB",
    "min_wal_size": "2GB",  # old segments are used again: a file deleted makes the next commits wait for the disk
    "max_wal_size": "16GB",  # no checkpoint falls into one run and not into the other
    "checkpoint_timeout": "30min",
    "autovacuum_vacuum_cost_delay": "20ms",  # by default it reads ten times as fast: commits wait for the disk
    "wal_compression": "off",
    "max_connections": "200",
}
# While the data set is being made nothing counts yet; it is synced before it is measured.
_LOADING = {**POSTGRES, "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off"}
# Requests are counted as in production, and nobody is refused.
_LIMITS = {
    f"SHOP_LIMIT_{of}": "999999/999999"
    for of in (
        "ADDRESS",
        "ADDRESS_WRITES",
        "MEMBER",
        "MEMBER_WRITES",
        "MEMBER_ORDERS",
        "MEMBER_EXPORTS",
        "STAFF",
        "EXPORTS",
    )
}
WORKERS = len(os.sched_getaffinity(0))
_START_S = 60.0
_END_S = 30.0
_CALM = 4
"""Looks at an idle database, one after the other, until it counts as quiet."""


class Stage:
    """The cluster of a run. Its databases are made by `bench.data` and kept in `folder`.

    `installed` is where the programs of another PostgreSQL are than the embedded one; it is told to count statements.
    """

    def __init__(self, folder: Path, merchant: Merchant, installed: Path | None = None) -> None:
        self.folder = folder
        self.merchant = merchant
        self.installed = installed
        self._cluster: Cluster | None = None

    @property
    def cluster(self) -> Cluster:
        """The running server."""
        assert self._cluster is not None
        return self._cluster

    @property
    def running(self) -> bool:
        """Whether the server runs."""
        return self._cluster is not None

    def start(self, *, loading: bool = False) -> None:
        """Start the server, or start it anew with other settings. Raises Trouble."""
        self.stop()
        settings = _LOADING if loading else POSTGRES
        if self.installed is not None:
            settings = settings | counting.SETTINGS
        log = self.folder / "postgres.log"
        self._cluster = Cluster(self.folder / "pg", settings=settings, log=log, installed=self.installed)
        self._cluster.start()

    def stop(self) -> None:
        """Stop the server, if it runs."""
        if self._cluster is not None:
            self._cluster.stop()
            self._cluster = None

    def owner(self, database: str, work: Callable[[Any], Awaitable[T]]) -> T:
        """Run `work` on a connection of the schema's owner."""
        return asyncio.run(_on(self.cluster.owner_url(database), work))

    def owners(self, database: str, works: Sequence[Callable[[Any], Awaitable[None]]]) -> None:
        """Run several works at once, each on a connection of its own."""

        async def all_of_them() -> None:
            url = self.cluster.owner_url(database)
            await asyncio.gather(*(_on(url, work) for work in works))

        asyncio.run(all_of_them())

    def superuser(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Run `work` on a connection of the superuser."""
        return asyncio.run(_on(self.cluster.superuser_url(), work))

    def checkpoint(self) -> None:
        """Write out what waits, so that a run does not pay for the one before."""
        self.superuser(lambda connection: connection.execute("CHECKPOINT"))
        os.sync()  # also the servers' logs: of a hundred thousand requests they are tens of megabytes

    def quiet(self, database: str) -> None:
        """Wait until nobody works in a database: the shop goes on for a moment with what it was asked last.

        Raises Trouble.
        """

        async def busy(connection: Any) -> int:
            return int(
                await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = $1 AND state <> 'idle' AND backend_type = 'client backend'",  # no autovacuum
                    database,
                )
            )

        deadline, calm = time.monotonic() + _START_S, 0
        while calm < _CALM:
            calm = 0 if self.superuser(busy) else calm + 1
            if time.monotonic() > deadline:
                raise Trouble("The shop does not come to rest after a load.")
            time.sleep(0.05)

    def postmaster(self) -> int:
        """The server's process, at the root of its tree."""

        async def parent(connection: Any) -> int:
            return processes.parent_of(int(await connection.fetchval("SELECT pg_backend_pid()")))

        return self.superuser(parent)

    def plain_environment(self) -> dict[str, str]:
        """Ours, without anything that is meant for a shop or a simulated WeChat."""
        theirs = ("SHOP_", "WECHAT_", "DATABASE_", "SANDBOX_")
        return {name: value for name, value in os.environ.items() if not name.startswith(theirs)}

    def environment(self, database: str, port: int) -> dict[str, str]:
        """What the shop is told."""
        data = self.folder / "shop"
        data.mkdir(exist_ok=True)
        return {
            **self.plain_environment(),
            **self.merchant.environment(),
            "SHOP_ENV": "dev",
            "SHOP_PORT": str(port),
            "SHOP_DATA_DIR": str(data),
            "SHOP_WITH_PARENT": "1",
            **_LIMITS,
            "DATABASE_URL": self.cluster.app_url(database),
            "DATABASE_OWNER_URL": self.cluster.owner_url(database),
            "DATABASE_DIRECT_URL": self.cluster.app_url(database),
        }

    def command(self, database: str, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m shop …` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "shop", *argv],
            cwd=ROOT,
            env=self.environment(database, ports.any_free()),
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def work(self, database: str) -> Iterator[None]:
        """`python -m shop work` on a database, meanwhile. Raises Trouble when it has ended by itself."""
        argv = [sys.executable, "-m", "shop", "work"]
        environment = self.environment(database, ports.any_free())
        process = processes.start(argv, self.folder / f"work-{database}.log", environment)
        try:
            yield
            if process.poll() is not None:
                raise Trouble(f"The worker has ended; see {self.folder / f'work-{database}.log'}.")
        finally:
            _end(process)

    def serve(self, database: str) -> "Server":
        """`python -m shop serve` on a database, with one worker per core. Raises Trouble."""
        port = ports.any_free()
        argv = [sys.executable, "-m", "shop", "serve", "--workers", str(WORKERS)]
        return Server(
            argv,
            port,
            self.environment(database, port),
            self.folder / f"serve-{database}.log",
            "/api/v1/categories",
        )


class Server:
    """A program of ours that answers HTTP, until `stop`."""

    def __init__(self, argv: list[str], port: int, environment: dict[str, str], log: Path, path: str) -> None:
        self.port = port
        self.log = log
        began = time.monotonic()
        self._process = processes.start(argv, log, environment)
        while not parts.is_ok(port, path):
            if self._process.poll() is not None or time.monotonic() - began > _START_S:
                raise Trouble(f"`{' '.join(argv[1:])}` does not answer; see {log}.")
            time.sleep(0.005)
        self.start_s = time.monotonic() - began
        """From exec to the first answer of `path`."""

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of its main process."""
        return self._process.pid

    def workers(self) -> list[int]:
        """Its worker processes."""
        return [pid for pid in processes.tree(self.pid) if pid != self.pid]

    def stop(self) -> None:
        """Return when it is gone."""
        _end(self._process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and see to it."""
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def _on(url: str, work: Callable[[Any], Awaitable[T]]) -> T:
    connection = await asyncpg.connect(url)
    try:
        return await work(connection)
    finally:
        await connection.close()
