"""Divided tables are what they were: for the shop, for migrations, for whoever would rewrite history."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cast import Shop
from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from world import ROOT, World

from dev.postgres import Cluster
from kit import jobs
from kit.database import Table
from shop import partitioning, schema
from shop.doctor import audit, partitions
from shop.doctor.findings import Verdict
from shop.partitioning import TABLES

WIDTH = 1000
_MOVE = """
    INSERT INTO stock_move (sku_id, location_id, delta_available, delta_reserved, delta_sold, reason, ref, actor, at)
    SELECT 1, 1, 1, 0, 0, 'x', '', 'test', now() FROM generate_series(1, $1::bigint)"""


async def _divided(cluster: Cluster, *tables: str) -> None:
    for table in tables or TABLES:
        assert (await partitioning.convert(cluster.owner_url(), table, WIDTH)).bound


async def _differences(cluster: Cluster) -> list[object]:
    def found(connection: Connection) -> list[object]:
        options = {"include_object": lambda _o, name, kind, _r, _c: not (kind == "table" and name in jobs.TABLES)}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Table.metadata))

    engine = create_async_engine(make_url(cluster.owner_url()).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        differences = await connection.run_sync(found)
    await engine.dispose()
    return differences


async def _trade(shop: Shop, name: str) -> None:
    """Paid, shipped, one piece refunded; and one that was cancelled."""
    buyer = await shop.buyer(name)
    (sku,) = await shop.stocked(9)
    await shop.paid_order(buyer, {sku: 2})
    no = await buyer.order({sku: 1})
    assert (await buyer.post(f"/orders/{no}/cancel", {})).status_code == 200
    assert (await buyer.get(f"/orders/{no}")).json()["state"] == "cancelled"


async def test_the_shop_goes_on_as_before(shop: Shop, clean: Cluster) -> None:
    await _trade(shop, "before")
    facts = "SELECT count(*), max(id), sum(hashtext(t::text)) FROM {} t"
    before = {table: tuple(await shop.sql.fetchrow(facts.format(table))) for table in TABLES}
    await _divided(clean)
    assert {table: tuple(await shop.sql.fetchrow(facts.format(table))) for table in TABLES} == before
    await _trade(shop, "after")
    for table in TABLES[:2]:
        ids = [row["id"] for row in await shop.sql.fetch(f"SELECT id FROM {table} ORDER BY id")]
        assert ids == list(range(1, len(ids) + 1)), "the identity went on where it was"
        assert len(ids) > before[table][0]
    report = await audit.take(clean.app_url())
    assert report.holds, report
    assert {finding.verdict for finding in await partitions.look(shop.sql)} == {Verdict.OK}


async def test_models_and_migrations_agree_and_migrating_again_is_harmless(clean: Cluster, sql: Any) -> None:
    await _divided(clean)
    assert await _differences(clean) == []
    await schema.migrate(clean.owner_url(), "shop_app")
    reaching = "SELECT count(*) FROM pg_class WHERE relnamespace = 'partitions'::regnamespace AND relacl::text LIKE '%shop_app%'"
    assert await sql.fetchval(reaching) == 0
    tables = ", ".join(f'"{name}"' for name in Table.metadata.tables if name != "location")
    await sql.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")
    await sql.execute(_MOVE, 1)
    assert await sql.fetchval("SELECT id FROM stock_move") == 1


async def test_history_still_cannot_be_rewritten(clean: Cluster, sql: Any) -> None:
    await sql.execute(_MOVE, 10)
    await _divided(clean)
    await sql.execute(_MOVE, 3 * WIDTH)
    app = await asyncpg.connect(clean.app_url())
    try:
        for table in ("stock_move", "partitions.stock_move_from_0", f"partitions.stock_move_from_{2 * WIDTH}"):
            for change in (f"UPDATE {table} SET id = DEFAULT", f"DELETE FROM {table}", f"TRUNCATE {table}"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await app.execute(change)
            with pytest.raises(asyncpg.InsufficientPrivilegeError):  # the trigger: it binds even the owner
                await sql.execute(f"DELETE FROM {table}")
        for change in (
            "ALTER TABLE stock_move DETACH PARTITION partitions.stock_move_from_0",
            "CREATE TABLE t (a int)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await app.execute(change)
    finally:
        await app.close()


async def test_the_worker_makes_the_partitions_ahead_as_the_applications_role(shop: Shop, clean: Cluster) -> None:
    sql = shop.sql
    await _divided(clean, "stock_move", "order_event")
    assert await sql.fetchval("SELECT make_partitions_ahead()") == 0
    (sku,) = await shop.stocked(1)
    for _ in range(4):  # 7,200 rows through partitions that were not there at first
        await sql.execute(_MOVE.replace("SELECT 1, 1, 1", f"SELECT {sku}, 1, 1"), 1800)
        await sql.execute("UPDATE stock SET available = available + 1800 WHERE sku_id = $1", sku)
        await shop.worker.make_partitions()
        assert all(table.ahead > 2.9 for table in await partitioning.headroom(sql) if table.divided)
    assert await sql.fetchval("SELECT count(*) FROM stock_move WHERE sku_id = $1", sku) == 7201
    makes = [sweep.__name__ for sweep, _ in shop.worker.sweeps()]  # type: ignore[attr-defined]
    assert "make_partitions" in makes
    await asyncio.gather(*(shop.worker.make_partitions() for _ in range(4)))


async def test_the_owners_function_can_do_nothing_else(clean: Cluster, sql: Any) -> None:
    """A caller that owns a schema of its own, and puts it first, does not bend it; strangers may not call it at all."""
    await _divided(clean, "stock_move")
    root = await asyncpg.connect(clean.superuser_url("shop"))
    await root.execute("CREATE SCHEMA trap AUTHORIZATION shop_app; CREATE ROLE stranger LOGIN PASSWORD 'a-strange-one'")
    await root.execute("GRANT USAGE ON SCHEMA public TO stranger")
    app = await asyncpg.connect(clean.app_url(), server_settings={"search_path": "trap, public"})
    try:
        await app.execute(
            """CREATE FUNCTION trap.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql
            AS $$ SELECT 'GRANT ALL ON public.stock_move TO shop_app' $$;
            CREATE TABLE trap.stock_move (id bigint); CREATE TABLE trap.pg_class (LIKE pg_catalog.pg_class)"""
        )
        await sql.execute(_MOVE, 2 * WIDTH)
        assert await app.fetchval("SELECT public.make_partitions_ahead()") == 2
        assert not await app.fetchval("SELECT has_table_privilege('public.stock_move', 'UPDATE')")
        await root.execute("SET ROLE stranger")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await root.execute("SELECT make_partitions_ahead()")
    finally:
        await app.close()
        await root.close()


async def test_old_partitions_prune_and_pages_stop_early(clean: Cluster, sql: Any) -> None:
    await _divided(clean, "stock_move")
    for _ in range(3):
        await sql.execute(_MOVE, WIDTH)
        await sql.execute("SELECT make_partitions_ahead()")
    await sql.execute("ANALYZE stock_move")
    page = (
        "EXPLAIN (ANALYZE, COSTS OFF) SELECT * FROM stock_move WHERE sku_id = 1 AND id < 2500 ORDER BY id DESC LIMIT 20"
    )
    plan = "\n".join(row[0] for row in await sql.fetch(page))
    assert "stock_move_from_3000" not in plan, plan
    assert re.search(r"stock_move_from_0.*never executed", plan), plan
    assert "Sort" not in plan, plan


async def test_a_table_that_is_in_use_is_left_alone_and_says_by_whom(
    clean: Cluster, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shop.partitioning.conversion._TRIES", 2)
    reader = await asyncpg.connect(clean.app_url(), server_settings={"application_name": "shop-audit"})
    async with reader.transaction():
        await reader.fetch("SELECT * FROM stock_move")
        with pytest.raises(partitioning.CannotPartition, match="shop-audit"):
            await partitioning.convert(clean.owner_url(), "stock_move", WIDTH)
    await reader.close()
    assert await sql.fetchval("SELECT count(*) FROM pg_constraint WHERE conname = 'partition_bound'") == 0
    await _divided(clean, "stock_move")


async def test_what_was_broken_off_is_found_and_finished(clean: Cluster, sql: Any) -> None:
    """As if killed between its promise and its end."""
    await sql.execute("ALTER TABLE order_event ADD CONSTRAINT partition_bound CHECK (id < 5) NOT VALID")
    (finding,) = await partitions.look(sql)
    assert (finding.verdict, "broken off" in finding.seen) == (Verdict.WRONG, True)
    await _divided(clean, "order_event")
    (finding,) = await partitions.look(sql)
    assert finding.verdict is Verdict.OK


async def test_the_doctor_sees_that_room_runs_out_and_that_a_guard_is_gone(clean: Cluster, sql: Any) -> None:
    await _divided(clean, "stock_move")
    for rows, verdict in ((2500, Verdict.WARNING), (700, Verdict.WRONG)):
        await sql.execute(_MOVE, rows)
        (finding,) = await partitions.look(sql)
        assert (finding.verdict, "stock_move has room for" in finding.seen) == (verdict, True)
    assert (await partitioning.convert(clean.owner_url(), "stock_move", WIDTH)).made == 3
    await sql.execute("DROP TRIGGER append_only ON stock_move")
    (finding,) = await partitions.look(sql)
    assert "nothing refuses changes" in finding.seen


async def test_what_would_be_left_behind_is_refused(clean: Cluster, sql: Any) -> None:
    await sql.execute("CREATE VIEW our_report AS SELECT sku_id, count(*) FROM stock_move GROUP BY 1")
    with pytest.raises(partitioning.CannotPartition, match="our_report"):
        await partitioning.convert(clean.owner_url(), "stock_move", WIDTH)
    with pytest.raises(partitioning.CannotPartition, match="posting cannot be divided"):
        await partitioning.convert(clean.owner_url(), "posting", WIDTH)
    with pytest.raises(partitioning.CannotPartition, match="another role's"):
        await partitioning.convert(clean.app_url(), "order_event", WIDTH)


def _blocks(heading: str) -> list[str]:
    """The SQL of a section of `docs/growing.md`."""
    text = (ROOT / "docs" / "growing.md").read_text(encoding="utf-8")
    section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE)
    assert section is not None
    return re.findall(r"```sql\n(.*?)```", section[1], re.DOTALL)


async def test_old_moves_are_carried_forward_as_the_page_says(shop: Shop, clean: Cluster) -> None:
    """The commands of the page, word for word: at no instant is the stock other than the sum of its moves."""
    await _trade(shop, "early")
    await _divided(clean, "stock_move")
    (block,) = _blocks("Stock movements: carried forward")
    with pytest.raises(asyncpg.CheckViolationError):  # it is still written into
        await shop.sql.execute(block)
    await shop.sql.execute("ROLLBACK")
    assert await shop.broken() == {}
    await shop.sql.execute(_MOVE, 2 * WIDTH)
    await shop.sql.execute("UPDATE stock SET available = available + $1 WHERE sku_id = 1", 2 * WIDTH)
    await shop.sql.execute(block)
    assert await shop.broken() == {}
    moves = await shop.sql.fetch("SELECT reason, delta_sold FROM stock_move WHERE id < 3000 AND reason <> 'x'")
    assert [tuple(move) for move in moves] == [("carried forward", 2)]
    await _trade(shop, "late")
    assert await shop.sql.fetchval("SELECT max(id) FROM partitions.stock_move_from_0") == 2 * WIDTH - 1


async def test_old_audit_entries_are_taken_out_as_the_page_says(clean: Cluster, sql: Any) -> None:
    await sql.execute(
        "INSERT INTO audit_entry (at, actor, action, subject_kind, subject, facts) VALUES (now(), 'a', 'b', 'c', 'd', '{}')"
    )
    await partitioning.convert(clean.owner_url(), "audit_entry", 10_000_000)
    for block in _blocks("Audit log: taken out"):
        for statement in filter(None, (part.strip() for part in block.split(";"))):
            await sql.execute(statement)
    assert await sql.fetchval("SELECT count(*) FROM audit_entry") == 0
    assert await sql.fetchval("SELECT to_regclass('partitions.audit_entry_from_0')") is None


def test_by_the_command_line(clean: Cluster, wechat_world: World, tmp_path: Path) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SHOP_", "WECHAT_", "DATABASE_"))}
    urls = {"DATABASE_URL": clean.app_url(), "DATABASE_OWNER_URL": clean.owner_url(), "SHOP_DATA_DIR": str(tmp_path)}

    def run(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "shop", "partition", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=kept | wechat_world.env | urls | more, capture_output=True, text=True, check=False
        )

    done = run("order_event", "--rows", "100000")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("order_event: ids below 200000 are its first partition"), done.stdout
    again = run("order_event")
    assert (again.returncode, again.stdout) == (0, "order_event is divided already; partitions made ahead: 0.\n")
    assert run("posting").returncode == 2
    assert run("stock_move", "--rows", "99999").returncode == 2
    refused = run("stock_move", DATABASE_OWNER_URL=clean.app_url())
    assert (refused.returncode, "Cannot partition" in refused.stderr) == (1, True)
