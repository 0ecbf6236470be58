"""What fails in the worker holds up nothing else, and says what it was."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from cast import Shop
from structlog.testing import CapturingLogger

import shop.worker
from dev.postgres import Cluster
from kit import expiry
from kit.clock import ManualClock
from kit.database import Database, DatabaseUnavailable
from shop.app import ShopPayee, gateway_of
from shop.settings import Settings
from shop.worker import Worker

pytestmark = pytest.mark.anyio
_END_WHO_WAITS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
_KEY = "INSERT INTO idempotency_key (actor, operation, key, content, started_at) VALUES ('a', 'o', $1, '', $2)"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> CapturingLogger:
    made = CapturingLogger()
    monkeypatch.setattr(shop.worker, "log", made)
    return made


@pytest.fixture
async def worker(settings: Settings, db: Database, clock: ManualClock) -> AsyncIterator[Worker]:
    gateway = gateway_of(settings)
    yield Worker(db, gateway, ShopPayee(), clock)
    await gateway.close_connections()


async def _served(sql: Any, clock: ManualClock) -> None:
    """One row of each kind that has served its time, of the first and the last part."""
    old = clock.now() - timedelta(days=4)
    await sql.execute(_KEY, "old", old)
    await sql.execute("INSERT INTO sign_in_attempts (subject, failed, window_ends_at) VALUES ('peer:x', 1, $1)", old)


async def _left(sql: Any, table: str) -> int:
    return int(await sql.fetchval(f"SELECT count(*) FROM {table}"))


async def test_a_part_that_fails_holds_up_no_other(
    worker: Worker, sql: Any, clock: ManualClock, log: CapturingLogger
) -> None:
    await _served(sql, clock)
    await sql.execute("ALTER TABLE idempotency_key RENAME TO away")
    try:
        await worker.clean()
    finally:
        await sql.execute("ALTER TABLE away RENAME TO idempotency_key")
    assert await _left(sql, "sign_in_attempts") == 0
    assert [(call.method_name, call.kwargs["about"]) for call in log.calls] == [("exception", "idempotency keys")]


async def test_a_part_that_takes_too_long_holds_up_no_other(
    worker: Worker, sql: Any, clock: ManualClock, log: CapturingLogger
) -> None:
    await _served(sql, clock)
    async with sql.transaction():
        await sql.execute("LOCK TABLE idempotency_key")
        await worker.clean()
    assert await _left(sql, "sign_in_attempts") == 0
    assert await _left(sql, "idempotency_key") == 1
    assert [(call.method_name, call.kwargs["about"]) for call in log.calls] == [("warning", "idempotency keys")]
    await worker.clean()
    assert await _left(sql, "idempotency_key") == 0


async def _two_that_are_over(shop: Shop) -> list[tuple[str, int]]:
    """Two orders that nobody paid in time, the older first, each with the SKU that it holds."""
    buyer = await shop.buyer("alice")
    orders = [(await buyer.order({sku: 1}), sku) for sku in await shop.stocked(5, 5)]
    shop.world.skip(hours=1)
    return orders


async def _states(shop: Shop) -> list[str]:
    return [row["state"] for row in await shop.sql.fetch("SELECT state FROM orders ORDER BY id")]


async def test_an_order_that_another_holds_up_holds_up_no_other(shop: Shop, log: CapturingLogger) -> None:
    (first, sku), (_, _) = await _two_that_are_over(shop)
    async with shop.sql.transaction():
        await shop.sql.execute("SELECT FROM stock WHERE sku_id = $1 FOR UPDATE", sku)
        await shop.worker.close_orders()
    assert await _states(shop) == ["unpaid", "cancelled"]
    assert [(call.method_name, call.kwargs["about"]) for call in log.calls] == [("warning", first)]
    shop.world.skip(minutes=1)
    await shop.worker.close_orders()
    assert await _states(shop) == ["cancelled", "cancelled"]


async def test_a_database_that_goes_away_ends_the_turn(shop: Shop, clean: Cluster) -> None:
    """Asking it once more for each of fifty that are due would hold up those who can be served."""
    (_, sku), (_, _) = await _two_that_are_over(shop)
    root = await asyncpg.connect(clean.superuser_url("shop"))
    async with shop.sql.transaction():
        await shop.sql.execute("SELECT FROM stock WHERE sku_id = $1 FOR UPDATE", sku)
        turn = asyncio.create_task(shop.worker.close_orders())
        async with asyncio.timeout(20):
            while not await root.fetch(_END_WHO_WAITS):
                await asyncio.sleep(0.01)
        with pytest.raises(DatabaseUnavailable):
            await turn
    await root.close()
    assert await _states(shop) == ["unpaid", "unpaid"]


async def test_much_is_dropped_in_turns(
    worker: Worker, sql: Any, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "MOST", 2)
    for number in range(5):
        await sql.execute(_KEY, str(number), clock.now() - timedelta(days=4))
    await worker.clean()
    assert await _left(sql, "idempotency_key") == 0


async def test_a_notice_that_cannot_be_handled_is_named(
    worker: Worker, sql: Any, clock: ManualClock, log: CapturingLogger
) -> None:
    body = (
        b'{"id":"EV-7","event_type":"TRANSACTION.SUCCESS","resource_type":"encrypt-resource","resource":'
        b'{"original_type":"transaction","algorithm":"AEAD_AES_256_GCM","ciphertext":"AAAA","nonce":"0123456789ab"}}'
    )
    at = clock.now() - timedelta(minutes=1)
    row = "INSERT INTO notice (id, event_type, original_type, body, received_at, retry_at) VALUES ($1, 'x', 'x', $2, $3, $3)"
    await sql.execute(row, "EV-7", body, at)
    await sql.execute(row, "of another age", b"{}", at - timedelta(minutes=1))
    await worker.retry_notices()
    assert [(call.method_name, call.kwargs["about"]) for call in log.calls] == [
        ("exception", "?"),
        ("exception", "EV-7"),
    ]
