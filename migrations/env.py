"""Alembic's entry: `shop.schema` hands in an open connection of the owner's role; alone it reads DATABASE_OWNER_URL."""

import asyncio
import os
from functools import partial

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import await_only

from kit import hosts, jobs
from kit.database import Table
from shop import schema


def _ours(_object: object, name: str | None, kind: str, _reflected: bool, _compare_to: object) -> bool:
    return not (kind == "table" and name in jobs.TABLES)


def _run(connection: Connection) -> None:
    """Each revision in a transaction of its own, so that what one has locked is free before the next begins."""
    _prepare(connection)
    context.configure(
        connection=connection, target_metadata=Table.metadata, include_object=_ours, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


def _prepare(connection: Connection) -> None:
    # Two `migrate` at once: one waits, and asks anew each time: an index that is built concurrently would wait for a
    # statement that waits for it.
    while not connection.scalar(text("SELECT pg_try_advisory_lock(7260126001)")):
        connection.rollback()
        await_only(asyncio.sleep(0.2))
    # A table in use: give up soon rather than hold up the shop, which queues behind us and waits two seconds at most.
    connection.execute(text("SET lock_timeout = '1s'"))
    connection.commit()


async def _alone() -> None:
    connect = partial(hosts.connect, os.environ["DATABASE_OWNER_URL"])
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect)
    async with engine.connect() as connection:
        await connection.run_sync(_run)
        await connection.commit()
    await engine.dispose()


schema.load_models()
given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    asyncio.run(_alone())
