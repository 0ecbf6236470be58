"""`python -m shop audit` as a person runs it: on a live shop, on one that was tampered with, on none."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from cast import Shop
from world import ROOT

from shop.doctor import audit


def _environment(shop: Shop, database_url: str, folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SHOP_", "WECHAT_", "DATABASE_"))}
    return {**kept, **shop.world.env, "DATABASE_URL": database_url, "SHOP_DATA_DIR": str(folder)}


async def _run(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shop", "audit", *arguments),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
def environment(shop: Shop, settings: object, tmp_path: Path) -> dict[str, str]:
    return _environment(shop, settings.database_url, tmp_path)  # type: ignore[attr-defined]


async def test_clean_books(shop: Shop, environment: dict[str, str]) -> None:
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    await shop.paid_order(buyer, {sku: 2})
    code, out, _ = await _run(environment)
    assert code == 0, out
    assert out.splitlines()[-1] == "All invariants hold."
    assert "money in ¥28.00 = owed for goods ¥28.00 + back ¥0.00" in out
    assert "ledger: sales -28.00, wechat 28.00; together ¥0.00" in out
    code, out, _ = await _run(environment, "--json")
    report = json.loads(out)
    assert (code, report["holds"], report["balances"]) == (0, True, {"sales": -2800, "wechat": 2800})
    assert all(entry["holds"] for entry in report["invariants"])


async def test_every_tampering_is_named(shop: Shop, environment: dict[str, str]) -> None:
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await shop.paid_order(buyer, {sku: 2})
    for breaks, mends in (
        ("UPDATE stock SET available = available + 1", "UPDATE stock SET available = available - 1"),
        ("UPDATE payment SET received_fen = 2799", "UPDATE payment SET received_fen = 2800"),
        ("UPDATE orders SET state = 'shipped'", "UPDATE orders SET state = 'paid'"),
    ):
        await shop.sql.execute(breaks)
        code, out, _ = await _run(environment)
        await shop.sql.execute(mends)
        assert code == 1, breaks
        assert "  ✗ " in out, breaks
        assert str(sku) in out or no in out or "2799" in out
        assert "invariants broken." in out.splitlines()[-1]
    code, out, _ = await _run(environment)
    assert code == 0, out


async def test_no_database_is_not_clean_books(environment: dict[str, str]) -> None:
    nowhere = {**environment, "DATABASE_URL": "postgresql://shop_app:secret-word@127.0.0.1:9/shop"}
    code, out, err = await _run(nowhere)
    assert (code, out) == (audit.CANNOT, "")
    assert err.startswith("Cannot audit: the database does not let us in")
    assert "secret-word" not in err


async def test_it_changes_nothing_and_waits_for_nobody(shop: Shop, settings: object) -> None:
    """While a writer holds every row that it may, the audit sees the moment before."""
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    await shop.paid_order(buyer, {sku: 2})
    async with shop.sql.transaction():
        await shop.sql.execute("UPDATE stock SET available = available + 1")
        await shop.sql.execute("UPDATE orders SET total_fen = total_fen")
        report = await asyncio.wait_for(audit.take(settings.database_url), 10)  # type: ignore[attr-defined]
        assert report.holds
        await shop.sql.execute("UPDATE stock SET available = available - 1")
    with pytest.raises(audit.CannotAudit, match="took longer than 1 s"):
        await _slow(shop, settings.database_url)  # type: ignore[attr-defined]


async def _slow(shop: Shop, url: str) -> None:
    locker = shop.sql
    async with locker.transaction():
        await locker.execute("LOCK TABLE stock IN ACCESS EXCLUSIVE MODE")
        await audit.take(url, timeout_s=1)


async def test_tables_that_are_not_there(cluster: object) -> None:
    url = cluster.superuser_url("template1")  # type: ignore[attr-defined]
    connection = await asyncpg.connect(url)
    await connection.close()
    with pytest.raises(audit.CannotAudit, match="migrate"):
        await audit.take(url)
