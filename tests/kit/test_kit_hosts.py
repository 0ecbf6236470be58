"""One address with several hosts: a dead or silent one costs a moment, and only what was asked for is taken."""

import asyncio
import socket
import time
from collections.abc import Iterator

import asyncpg
import pytest

from dev.postgres import Cluster
from kit import hosts
from kit.database import Database, DatabaseUnavailable
from kit.hosts import NoPrimary


@pytest.fixture
def silent() -> Iterator[int]:
    """A machine that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _with(url: str, *more: str, query: str = "") -> str:
    account, at, rest = url.rpartition("@")
    return f"{account}{at}{','.join(more)},{rest}{query}"


def test_an_address_is_taken_apart_by_hosts() -> None:
    url = "postgresql+asyncpg://me:p%40ss@a:1,[::1]:2,c/shop?target_session_attrs=primary"
    assert hosts.each(url) == [
        f"postgresql://me:p%40ss@{host}/shop?target_session_attrs=primary" for host in ("a:1", "[::1]:2", "c")
    ]
    assert hosts.role("postgresql://m%C3%A9:x@a,b/shop") == "mé"
    assert hosts.role("postgresql://a/shop") is None


async def test_dead_and_silent_hosts_cost_a_moment(clean: Cluster, silent: int) -> None:
    url = _with(clean.app_url(), "127.0.0.1:9", f"127.0.0.1:{silent}", query="?target_session_attrs=primary")
    began = time.monotonic()
    connection = await hosts.connect(url)
    assert await connection.fetchval("SELECT 1") == 1
    assert time.monotonic() - began < 1.5
    await connection.close()


async def test_a_server_that_is_not_what_was_asked_for_is_not_taken(clean: Cluster) -> None:
    with pytest.raises(NoPrimary):
        await hosts.connect(clean.app_url() + "?target_session_attrs=standby")


async def test_when_nobody_answers_the_time_limit_holds(silent: int) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await hosts.connect(f"postgresql://a:b@127.0.0.1:{silent},127.0.0.1:{silent}/x", timeout=0.8)
    assert time.monotonic() - began < 1.5


async def test_a_time_limit_hangs_up_and_cancels_nothing(clean: Cluster) -> None:
    """A cancelled COMMIT that waits for a standby would be shown to others before it is safe."""
    connection = await hosts.connect(clean.app_url())
    pid = connection.get_server_pid()
    with pytest.raises(TimeoutError):
        await connection.fetch("SELECT pg_sleep(1.5)", timeout=0.2)
    assert connection.is_closed()
    root = await asyncpg.connect(clean.superuser_url("shop"))
    assert await root.fetchval("SELECT state FROM pg_stat_activity WHERE pid = $1", pid) == "active"
    await root.close()


async def test_a_server_that_takes_no_writes_loses_its_connections(clean: Cluster) -> None:
    """As when the primary has become somebody's standby: the next transaction looks for the primary anew."""
    db = Database(clean.app_url(), pool_size=4, name="test")
    root = await asyncpg.connect(clean.superuser_url("shop"))

    async def pid() -> int:
        async with db.begin() as session:
            connection = await (await session.connection()).get_raw_connection()
            return int(connection.driver_connection.get_server_pid())

    async def write() -> None:
        async with db.bare() as connection:
            await connection.execute("DELETE FROM pgqueuer WHERE id = 0")

    async def write_in_a_transaction() -> None:
        async with db.begin() as session:
            await (await session.connection()).exec_driver_sql("DELETE FROM pgqueuer WHERE id = 0")

    first = await pid()
    await write()
    await root.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    await root.execute("SELECT pg_reload_conf()")
    try:
        await asyncio.sleep(0.3)
        for attempt in (write, write_in_a_transaction):
            with pytest.raises(DatabaseUnavailable):
                await attempt()
    finally:
        await root.execute("SET default_transaction_read_only = off")
        await root.execute("ALTER SYSTEM RESET default_transaction_read_only")
        await root.execute("SELECT pg_reload_conf()")
        await root.close()
    await asyncio.sleep(0.3)
    await write()
    await write_in_a_transaction()
    assert await pid() != first
    await db.close()
