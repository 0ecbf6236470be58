"""The schema and who may do what with it: migrations run as the owner, the application's role only reads and writes.

Append-only tables (ledger, audit, order log, stock movements) can be neither changed nor deleted from by the
application's role; a trigger says the same to any role, since a small deployment may have only one.
"""

import asyncio
import importlib
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from kit import hosts
from kit.database import Table

log = structlog.get_logger()

_MODELS = (
    "kit.audit",
    "kit.idempotency",
    "catalog.models",
    "payments.models",
    "payments.ledger",
    "payments.reconciliation.models",
    "payments.policy",
    "payments.payouts.models",
    "payments.payouts.sharing_models",
    "payments.payouts.customs_models",
    "wechat.models",
    "shop.members.models",
    "shop.shipping.models",
    "shop.cart.models",
    "shop.orders.models",
    "shop.aftersales.models",
    "shop.admin.models",
)
_IN_USE = frozenset({"55P03", "40P01"})
"""lock_not_available, deadlock_detected."""
_TURNS = 100
_PAUSE_S = 2.0
"""Between two turns the shop works off what has queued."""
_ROOT = Path(__file__).resolve().parent.parent


def load_models() -> None:
    """Import every module that declares tables, so that `Table.metadata` is whole."""
    for name in _MODELS:
        importlib.import_module(name)


def append_only() -> list[str]:
    """The tables that only ever grow."""
    load_models()
    return sorted(name for name, table in Table.metadata.tables.items() if table.info.get("append_only"))


def config(connection: Connection | None = None) -> Config:
    found = Config(str(_ROOT / "alembic.ini"))
    found.attributes["connection"] = connection
    return found


async def migrate(owner_url: str, app_role: str | None, *, to: str = "head") -> None:
    """Bring the schema to revision `to` and the application's role to its rights. Harmless when repeated.

    A table that is in use is asked for again and again, for a second each time, so that the shop goes on meanwhile.
    """
    engine = create_async_engine("postgresql+asyncpg://", async_creator=partial(hosts.connect, owner_url))
    try:
        async with engine.connect() as connection:
            await _upgrade(connection, to)
            await connection.commit()
            if app_role and app_role != hosts.role(owner_url):
                await connection.run_sync(lambda sync: _grant(sync, app_role))
                await connection.commit()
    finally:
        await engine.dispose()


async def _upgrade(connection: AsyncConnection, to: str) -> None:
    for turn in range(_TURNS):
        try:
            await connection.run_sync(lambda sync: command.upgrade(config(sync), to))
        except DBAPIError as error:
            await connection.rollback()
            if getattr(error.orig, "sqlstate", None) not in _IN_USE or turn == _TURNS - 1:
                raise
            log.warning("a table is in use; the migration tries again", turn=turn + 1)
            await asyncio.sleep(_PAUSE_S)
        else:
            return


def _grant(connection: Connection, role: str) -> None:
    quote: Any = connection.dialect.identifier_preparer.quote
    name = quote(role)
    statements = [
        f"GRANT USAGE ON SCHEMA public TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {name}",
        f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {name}",
        *(f"REVOKE UPDATE, DELETE ON {quote(table)} FROM {name}" for table in append_only()),
        # The one change of the schema that the worker may bring about; partitions themselves are the owner's alone.
        f"GRANT EXECUTE ON FUNCTION make_partitions_ahead() TO {name}",
    ]
    for statement in statements:
        connection.execute(text(statement))
