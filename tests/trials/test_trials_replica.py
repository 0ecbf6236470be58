"""Reads from a real standby: only while it is proven to know enough, and from the primary whenever it does not."""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from faults import FaultDoor
from nodes import Standby
from processes import fetch
from sqlalchemy import text
from till import until
from trialing import Rounds

from dev.postgres import Cluster
from kit.replica import Replicated

_WHERE = "SELECT pg_is_in_recovery()"
_ROUND = "SELECT n, pg_is_in_recovery() AS standby FROM round"


@pytest.fixture(scope="module")
def standby(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standby]:
    with Standby(tmp_path_factory.mktemp("replica") / "b", cluster, "replica") as made:
        yield made


@pytest.fixture
async def db(standby: Standby, clean: Cluster) -> AsyncIterator[Replicated]:
    made = Replicated(clean.app_url(), standby.url(clean.app_url()), name="test")
    yield made
    await made.close()


async def proven(db: Replicated, as_of: float, patience_s: float = 5) -> bool:
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if db.knows(as_of):
            return True
        await asyncio.sleep(0.02)
    return False


async def where(db: Replicated, as_of: float) -> bool:
    return bool(await db.reading(lambda connection: connection.fetchval(_WHERE), as_of=as_of))


async def test_what_may_be_a_second_old_is_read_from_the_standby(db: Replicated) -> None:
    assert await where(db, time.monotonic()) is False  # nothing is proven yet
    assert await proven(db, time.monotonic())
    assert await where(db, time.monotonic() - 1) is True
    assert await db.looking(lambda session: session.scalar(text(_WHERE)), as_of=time.monotonic() - 1) is True
    assert await where(db, time.monotonic()) is False  # this very moment is never proven


async def test_a_standby_that_is_proven_knows_what_was_committed_before(
    db: Replicated, sql: Any, rounds: Rounds
) -> None:
    """Written, then read as of after that, in a row of rounds: never the old value."""
    await sql.execute("DROP TABLE IF EXISTS round; CREATE TABLE round (n int); GRANT SELECT ON round TO shop_app")
    await sql.execute("INSERT INTO round VALUES (0)")
    from_standby = 0
    times = rounds(30, 500)
    for n in range(1, times):
        await sql.execute("UPDATE round SET n = $1", n)
        written_at = time.monotonic()
        assert await proven(db, written_at)
        row = await db.reading(lambda connection: connection.fetchrow(_ROUND), as_of=written_at)
        assert row["n"] == n
        from_standby += row["standby"]
    await sql.execute("DROP TABLE round")
    assert from_standby > times * 2 // 3


async def test_a_standby_that_lags_is_not_asked(db: Replicated, standby: Standby, sql: Any) -> None:
    assert await proven(db, time.monotonic())
    await asyncio.to_thread(standby.superuser, "SELECT pg_wal_replay_pause()")
    try:
        await sql.execute("INSERT INTO location (id, name) VALUES (999, 'x'); DELETE FROM location WHERE id = 999")
        paused_at = time.monotonic()
        assert await proven(db, paused_at, patience_s=1.5) is False
        assert await where(db, time.monotonic() - 1) is False, "older than the bound, and still asked"
    finally:
        await asyncio.to_thread(standby.superuser, "SELECT pg_wal_replay_resume()")
    assert await proven(db, time.monotonic())


@pytest.fixture
def successor(clean: Cluster, standby: Standby, tmp_path: Path) -> Iterator[Standby]:
    """Takes over without what the old primary had done last; the other standby has heard of that."""
    with Standby(tmp_path / "c", clean, "successor") as made:
        made.stop_following()
        fetch(clean.superuser_url("shop"), "CREATE TABLE lost AS SELECT generate_series(1, 100000)")
        fetch(clean.superuser_url("shop"), "DROP TABLE lost")
        (row,) = fetch(clean.superuser_url(), "SELECT pg_current_wal_lsn()::text AS at")
        heard = f"SELECT 1 WHERE pg_last_wal_replay_lsn() >= '{row['at']}'"
        until("the standby has heard of it", lambda: standby.superuser(heard))
        made.promote()
        until("it has taken over", lambda: not made.superuser(_WHERE)[0][0])
        yield made


async def test_a_standby_of_another_past_is_not_asked(standby: Standby, successor: Standby, clean: Cluster) -> None:
    db = Replicated(successor.url(clean.app_url()), standby.url(clean.app_url()), name="test")
    try:
        an_hour_ago = time.monotonic() - 3600
        assert await proven(db, an_hour_ago, patience_s=2) is False
        assert await where(db, an_hour_ago) is False
    finally:
        await db.close()


async def test_a_standby_that_hangs_up_costs_nobody_the_answer(db: Replicated, standby: Standby) -> None:
    """Every connection to it is dead, the ones at hand too."""
    assert await proven(db, time.monotonic())
    assert await where(db, time.monotonic() - 1) is True
    root = await asyncpg.connect(standby.url(standby.primary.superuser_url(), "postgres"))
    await root.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop_app'")
    await root.close()
    for _ in range(6):
        await where(db, time.monotonic() - 0.5)
    assert await proven(db, time.monotonic())


async def test_a_standby_that_falls_silent_costs_half_a_second(standby: Standby, clean: Cluster) -> None:
    """Nothing is refused and nothing comes: whoever had been sent there is answered by the primary all the same."""
    door = FaultDoor(standby.port, random.Random(7))
    # Without TLS, because asyncpg leaves a future behind when it gives up asking for it, which this test would fail for.
    silent = clean.app_url().replace(f":{clean.port}/", f":{door.port}/") + "?sslmode=disable"
    db = Replicated(clean.app_url(), silent, name="test")
    try:
        assert await proven(db, time.monotonic())
        assert await where(db, time.monotonic() - 1) is True
        for broken in range(2):
            with door.broken("drop"):
                began = time.monotonic()
                asked = [where(db, began - 0.5) for _ in range(12)]
                looked = [db.looking(lambda session: session.scalar(text(_WHERE)), as_of=began - 0.5) for _ in range(4)]
                assert not any(await asyncio.gather(*asked, *looked)), broken
                assert time.monotonic() - began < 2, (
                    "four connections that hang keep nobody waiting one after the other"
                )
            assert await proven(db, time.monotonic(), patience_s=15)
            assert await where(db, time.monotonic() - 1) is True
    finally:
        await db.close()
        door.close()


async def test_without_the_standby_everything_is_read_from_the_primary(db: Replicated, standby: Standby) -> None:
    """The last of this file: the standby is gone after it."""
    assert await proven(db, time.monotonic())
    standby.tell(signal.SIGQUIT)
    assert standby.process is not None
    standby.process.wait(10)
    await asyncio.sleep(1.1)
    for _ in range(5):
        assert await where(db, time.monotonic() - 1) is False
