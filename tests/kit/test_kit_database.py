"""Transactions: really begun, never nested, never open while the world is called."""

import asyncio
import contextvars
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from dev.postgres import Cluster
from kit import bare, jobs
from kit.database import Database, DatabaseUnavailable, InsideTransaction, raw
from kit.http import outside_client

_ENTRY = (
    "INSERT INTO audit_entry (at, actor, action, subject_kind, subject, facts) VALUES (now(), 'a', 'b', 'c', 'd', '{}')"
)


async def test_a_rollback_takes_back_what_went_through_asyncpg_first(db: Database, sql: Any) -> None:
    """SQLAlchemy sends BEGIN only with its own first statement; ours is sent before."""

    async def broken_off() -> None:
        async with db.begin() as session:
            await (await raw(session)).execute(_ENTRY)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken_off()
    assert await sql.fetchval("SELECT count(*) FROM audit_entry") == 0


async def test_a_commit_keeps_both_ways_of_writing(db: Database, sql: Any) -> None:
    async with db.begin() as session:
        await (await raw(session)).execute(_ENTRY)
        assert await session.scalar(text("SELECT count(*) FROM audit_entry")) == 1
        await jobs.enqueue(session, "test.job", "kept")
    assert await sql.fetchval("SELECT count(*) FROM pgqueuer") == 1


async def test_the_same_job_waits_only_once(db: Database, sql: Any) -> None:
    for _ in range(3):
        async with db.begin() as session:
            await jobs.enqueue(session, "test.job", "same")
    assert await sql.fetchval("SELECT count(*) FROM pgqueuer") == 1


async def test_the_world_is_not_called_inside_a_transaction(db: Database) -> None:
    async with outside_client() as client:
        async with db.begin():
            with pytest.raises(InsideTransaction):
                await client.get("http://127.0.0.1:9/")
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:9/")


async def test_transactions_do_not_nest(db: Database) -> None:
    async with db.begin():
        with pytest.raises(InsideTransaction):
            async with db.begin():
                pass


async def test_other_tasks_have_their_own(db: Database) -> None:
    async with db.begin():

        async def other() -> None:
            async with db.begin() as session:
                await session.execute(text("SELECT 1"))

        await asyncio.create_task(other(), context=contextvars.Context())


async def test_a_database_that_is_not_there_is_a_503() -> None:
    db = Database("postgresql://nobody:x@127.0.0.1:9/none")
    with pytest.raises(DatabaseUnavailable):
        async with db.begin():
            pass
    await db.close()


async def test_the_application_can_neither_alter_nor_rewrite_history(clean: Cluster, db: Database) -> None:
    connection = await asyncpg.connect(clean.app_url())
    try:
        for statement in (
            "DROP TABLE audit_entry",
            "CREATE TABLE mine (n int)",
            "ALTER TABLE orders ADD COLUMN x int",
            "UPDATE audit_entry SET actor = 'me'",
            "DELETE FROM stock_move",
            "DELETE FROM order_event",
            "TRUNCATE audit_entry",
            "CREATE ROLE me",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_not_even_the_owner_rewrites_the_audit(sql: Any) -> None:
    await sql.execute(
        "INSERT INTO audit_entry (at, actor, action, subject_kind, subject, facts) VALUES (now(), 'a', 'b', 'c', 'd', '{}')"
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await sql.execute("UPDATE audit_entry SET actor = 'me'")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await sql.execute("DELETE FROM audit_entry")


async def test_closing_does_not_wait_for_ever_for_who_does_not_end(
    clean: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bare, "_FAREWELL_S", 0.05)
    db, has_one, over = Database(clean.app_url()), asyncio.Event(), asyncio.Event()

    async def keep_one() -> None:
        async with db.bare():
            has_one.set()
            await over.wait()

    keeping = asyncio.create_task(keep_one())
    async with asyncio.timeout(5):
        await has_one.wait()
        await db.close()
    over.set()
    await keeping


async def test_who_is_cancelled_while_the_database_works_is_cancelled(db: Database) -> None:
    """And is not told that it is unavailable: a task that goes on after that would never end."""

    async def alone(statement: str) -> None:
        async with db.bare() as connection:
            await connection.fetchval(statement)

    async def in_a_transaction(statement: str) -> None:
        async with db.begin() as session:
            await session.execute(text(statement))

    for ask in (alone, in_a_transaction):
        for turns in range(16):
            await ask("SELECT 1")  # it is connected, then
            task = asyncio.create_task(ask("SELECT pg_sleep(1)"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
