"""The database goes away and comes back: nobody notices but those who were in the middle of it."""

import asyncio

import asyncpg
import pytest
from sqlalchemy import text

from dev.postgres import Cluster
from kit.database import Database


@pytest.mark.trial("R16")
async def test_connections_that_died_while_idle_are_replaced_in_silence(db: Database, clean: Cluster) -> None:
    """As after a restart of Postgres: every connection of the pool is dead, and no request has to pay for it."""

    async def ask(pause_s: float = 0.0) -> int:
        async with db.begin() as session:
            await session.execute(text("SELECT pg_sleep(:s)"), {"s": pause_s})
            return int(await session.scalar(text("SELECT 1")) or 0)

    await asyncio.gather(*(ask(0.1) for _ in range(8)))
    root = await asyncpg.connect(clean.superuser_url("shop"))
    killed = await root.fetchval(
        """SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
        WHERE application_name = 'test' AND pid <> pg_backend_pid()"""
    )
    await root.close()
    assert killed == 8
    assert await asyncio.gather(*(ask() for _ in range(20))) == [1] * 20
