"""Alembic's entry: `shop.schema` hands in an open connection of the owner's role; alone it reads DATABASE_OWNER_URL."""

import asyncio
import os

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from kit import jobs
from kit.database import Table
from shop import schema


def _ours(_object: object, name: str | None, kind: str, _reflected: bool, _compare_to: object) -> bool:
    return not (kind == "table" and name in jobs.TABLES)


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Table.metadata, include_object=_ours)
    with context.begin_transaction():
        # Two `migrate` at once: one waits. A table in use: give up soon rather than block the shop behind us.
        connection.execute(text("SELECT pg_advisory_xact_lock(7260126001)"))
        connection.execute(text("SET LOCAL lock_timeout = '3s'"))
        context.run_migrations()


async def _alone() -> None:
    url = make_url(os.environ["DATABASE_OWNER_URL"]).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url)
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
