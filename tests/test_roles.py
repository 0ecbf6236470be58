"""The application's role does what the shop does, and nothing else: each way to more is tried, and denied (E3, E4)."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from dev.postgres import Cluster
from kit.database import Table
from shop import schema

pytestmark = pytest.mark.trial("R32")
DENIED = (asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError)
MIGHTIER = [
    "DROP TABLE orders",
    "DROP TABLE posting CASCADE",
    "DROP SCHEMA public CASCADE",
    "DROP DATABASE shop",
    "DROP FUNCTION refuse_change() CASCADE",
    "DROP TRIGGER append_only ON posting",
    "ALTER TABLE posting DISABLE TRIGGER append_only",
    "ALTER TABLE posting DISABLE TRIGGER ALL",
    "ALTER TABLE orders ADD COLUMN x int",
    "ALTER TABLE orders DROP CONSTRAINT ck_orders_ck_orders_total",
    "ALTER TABLE orders OWNER TO shop_app",
    "CREATE TABLE mine (x int)",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA mine",
    "CREATE INDEX mine ON orders (id)",
    "CREATE TRIGGER mine BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE ROLE mallory",
    "CREATE DATABASE mine",
    "ALTER ROLE shop_app SUPERUSER",
    "ALTER ROLE shop_app CREATEROLE",
    "ALTER ROLE shop_owner PASSWORD 'x'",
    "GRANT shop_owner TO shop_app",
    "GRANT pg_read_all_data TO shop_app",
    "SET ROLE shop_owner",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION shop_owner",
    "SET session_replication_role = 'replica'",
    "ALTER SYSTEM SET log_statement = 'all'",
    "ALTER DATABASE shop SET log_statement = 'all'",
    "COPY orders TO PROGRAM 'cat'",
    "COPY cart_line FROM PROGRAM 'echo 1'",
    "COPY orders TO '/tmp/orders'",
    "COPY cart_line FROM '/etc/passwd'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/x')",
    "SELECT * FROM pg_authid",
    "SELECT * FROM pg_hba_file_rules",
    "SELECT pg_promote()",
    "SELECT pg_switch_wal()",
    "SELECT pg_create_physical_replication_slot('x')",
    "SELECT pg_reload_conf()",
    "INSERT INTO alembic_version VALUES ('9999')",
    "UPDATE alembic_version SET version_num = '0001'",
    "DELETE FROM alembic_version",
    "TRUNCATE orders CASCADE",
]


@pytest.fixture
async def shop_app(clean: Cluster) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(clean.app_url())
    yield connection
    await connection.close()


@pytest.mark.parametrize("statement", MIGHTIER)
async def test_what_the_shop_need_not_do_it_may_not(shop_app: Any, statement: str) -> None:
    with pytest.raises(DENIED):
        await shop_app.execute(statement)


@pytest.mark.parametrize("table", schema.append_only())
@pytest.mark.parametrize("change", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "TRUNCATE {0}", "DROP TABLE {0}"])
async def test_what_was_written_down_stays(shop_app: Any, table: str, change: str) -> None:
    """Ledger, audit, order log, stock movements, and what else only grows."""
    columns = Table.metadata.tables[table].columns
    plain = next(column.name for column in columns if column.identity is None)
    with pytest.raises(DENIED):
        await shop_app.execute(change.format(table, plain))


async def test_even_its_owner_may_not_change_the_ledger(clean: Cluster, sql: Any) -> None:
    """A small deployment may have only one role: the trigger says no to any."""
    await sql.execute(
        "INSERT INTO posting (cause, debit, credit, amount_fen, currency, payable, at)"
        " VALUES ('received:x', 'wechat', 'sales', 1, 'CNY', 'x', now())"
    )
    for change in ("UPDATE posting SET amount_fen = 2", "DELETE FROM posting"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await sql.execute(change)


async def test_the_list_names_what_must_be_in_it() -> None:
    assert {"posting", "audit_entry", "order_event", "stock_move"} <= set(schema.append_only())


async def test_it_is_in_nobodys_group_and_has_no_rights_of_a_keeper(shop_app: Any) -> None:
    role = await shop_app.fetchrow("SELECT * FROM pg_roles WHERE rolname = current_user")
    for right in ("rolsuper", "rolcreaterole", "rolcreatedb", "rolreplication", "rolbypassrls"):
        assert not role[right], right
    assert await shop_app.fetch("SELECT 1 FROM pg_auth_members WHERE member = current_user::regrole") == []


def test_the_compose_file_makes_the_same_roles() -> None:
    """What is tried above is what a deployment gets: roles that log in, and nothing more."""
    text = Path(__file__).parents[1].joinpath("compose.yaml").read_text(encoding="utf-8")
    made = re.findall(r"CREATE ROLE (\w+) (.*);", text)
    assert made == [
        ("shop_owner", "LOGIN PASSWORD :'owner_password'"),
        ("shop_app", "LOGIN PASSWORD :'app_password'"),
    ]
