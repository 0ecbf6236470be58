"""The schema and who may do what with it: migrations run as the owner, the application's role only reads and writes.

Append-only tables (ledger, audit, order log, stock movements) can be neither changed nor deleted from by the
application's role; a trigger says the same to any role, since a small deployment may have only one.
"""

import importlib
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from kit.database import Table

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


async def migrate(owner_url: str, app_role: str | None) -> None:
    """Bring the schema to the newest revision and the application's role to its rights. Harmless when repeated."""
    engine = create_async_engine(make_url(owner_url).set(drivername="postgresql+asyncpg"))
    try:
        async with engine.connect() as connection:
            await connection.run_sync(lambda sync: command.upgrade(config(sync), "head"))
            await connection.commit()
            if app_role and app_role != make_url(owner_url).username:
                await connection.run_sync(lambda sync: _grant(sync, app_role))
                await connection.commit()
    finally:
        await engine.dispose()


def _grant(connection: Connection, role: str) -> None:
    quote: Any = connection.dialect.identifier_preparer.quote
    name = quote(role)
    statements = [
        f"GRANT USAGE ON SCHEMA public TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {name}",
        f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {name}",
        *(f"REVOKE UPDATE, DELETE ON {quote(table)} FROM {name}" for table in append_only()),
    ]
    for statement in statements:
        connection.execute(text(statement))
