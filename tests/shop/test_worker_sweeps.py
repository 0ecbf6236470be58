"""Whatever a worker is to see to by itself, one of its sweeps sees to, again and again."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from cast import Shop

import shop.worker
from kit.clock import ManualClock
from kit.database import Database, DatabaseUnavailable
from shop.admin import sessions as staff_sessions
from shop.admin import staff
from shop.admin.roles import Role
from shop.app import ShopPayee, gateway_of
from shop.members import people
from shop.settings import Settings
from shop.worker import Worker

pytestmark = pytest.mark.anyio
_NOTICE = """
    INSERT INTO notice (id, event_type, original_type, body, received_at, retry_at, handled_at)
    VALUES ($1, 'TRANSACTION.SUCCESS', 'transaction', $2, $3, $3, $4)
"""


async def _turn(shop: Shop) -> None:
    for sweep, _ in shop.worker.sweeps():
        await sweep()


async def test_what_is_due_is_done_by_one_of_the_sweeps(shop_of_its_own: Shop) -> None:
    shop = shop_of_its_own
    operator, buyer = await shop.operator(), await shop.buyer("alice")
    (sku,) = await shop.stocked(9)
    shipped, given_back = [await shop.paid_order(buyer, {sku: 2}) for _ in range(2)]
    parcel = {"carrier": "SF", "trackingNo": "SF1234567890"}
    assert (await operator.post(f"/orders/{shipped}/ship", parcel)).status_code == 200
    unheard, stored, forgotten = [await buyer.order({sku: 1}) for _ in range(3)]
    shop.world.pay(await buyer.prepay(unheard))
    shop.mailbox.take()
    shop.world.pay(await buyer.prepay(stored))
    letter, now = shop.mailbox.take(), shop.world.clock.now()
    await shop.sql.execute(_NOTICE, json.loads(letter.body)["id"], letter.body, now, None)
    line = (await operator.get(f"/orders/{given_back}")).json()["lines"][0]["id"]
    assert (await operator.refund(given_back, {line: 2})).status_code == 201
    await shop.run_jobs()
    thanks = {"cause": "thanks", "amountFen": 100, "remark": "谢谢", "sceneId": "1000"}
    thanks["report"] = {"活动名称": "开业", "奖励说明": "新客"}
    member = (await buyer.get("/me")).json()["id"]
    assert (await operator.post(f"/members/{member}/transfers", thanks)).status_code == 201

    shop.world.skip(minutes=20)
    await _turn(shop)
    states = dict(await shop.sql.fetch("SELECT no, state FROM orders"))
    assert (states[unheard], states[stored], states[forgotten]) == ("paid", "paid", "unpaid")
    assert await shop.sql.fetchval("SELECT state FROM refund") == "succeeded"
    assert await shop.sql.fetchval("SELECT state FROM transfer") != "requested"
    assert await shop.sql.fetchval("SELECT count(*) FROM notice WHERE handled_at IS NULL") == 0
    assert await shop.sql.fetchval("SELECT sold FROM product") == 4

    shop.world.skip(days=10)
    await _turn(shop)
    states = dict(await shop.sql.fetch("SELECT no, state FROM orders"))
    assert (states[shipped], states[forgotten]) == ("completed", "cancelled")
    assert await shop.sql.fetchval("SELECT count(*) FROM idempotency_key") == 0
    assert await shop.sql.fetchval("SELECT count(*) FROM bill_day") > 0


async def test_a_sweep_that_fails_has_its_next_turn() -> None:
    turns: list[int] = []
    stop = asyncio.Event()

    async def sweep() -> None:
        turns.append(1)
        if len(turns) == 1:
            raise DatabaseUnavailable
        if len(turns) == 2:
            raise ZeroDivisionError
        stop.set()

    async with asyncio.timeout(10):
        await shop.worker._repeat(sweep, 0.001, stop)
    assert len(turns) == 3


@pytest.fixture
async def worker(settings: Settings, db: Database, clock: ManualClock) -> AsyncIterator[Worker]:
    gateway = gateway_of(settings)
    yield Worker(db, gateway, ShopPayee(), clock)
    await gateway.close_connections()


SERVES = {
    "idempotency_key": timedelta(hours=73),
    "notice": timedelta(days=90),
    "transfer_day": timedelta(days=40),
    "member_session": timedelta(days=30),
    "staff_session": timedelta(hours=12),
    "sign_in_attempts": timedelta(minutes=15),
}


async def _one_of_each(db: Database, sql: Any, at: datetime) -> None:
    await sql.execute(
        "INSERT INTO idempotency_key (actor, operation, key, content, started_at) VALUES ('a', 'o', 'k', '', $1)", at
    )
    await sql.execute(_NOTICE, "EV-7", b"{}", at, at)
    await sql.execute(
        "INSERT INTO transfer_day (appid, openid, day, promised_fen, cap_fen) VALUES ('wx', 'o', $1, 1, 1)", at.date()
    )
    window = "INSERT INTO sign_in_attempts (subject, failed, window_ends_at) VALUES ('peer:x', 1, $1)"
    await sql.execute(window, at + SERVES["sign_in_attempts"])
    async with db.begin() as session:
        await people.sign_in(session, appid="wx0000000000000001", openid="o1", unionid=None, now=at)
        who = await staff.add(
            session, login="ann", name="Ann", password_hash="none", role=Role.CLERK, by="test", now=at
        )
        await staff_sessions.open_one(session, who.id, at)


@pytest.mark.parametrize("table", SERVES)
async def test_what_has_served_its_time_is_dropped_and_not_before(
    worker: Worker, db: Database, sql: Any, clock: ManualClock, table: str
) -> None:
    await _one_of_each(db, sql, clock.now())
    left = []
    for wait in (SERVES[table] - timedelta(seconds=1), timedelta(days=1)):
        clock.advance(wait)
        await worker.clean()
        left.append(await sql.fetchval(f"SELECT count(*) FROM {table}"))
    assert left == [1, 0]


async def test_what_the_queue_wrote_down_is_dropped_after_a_month(worker: Worker, sql: Any) -> None:
    row = "INSERT INTO pgqueuer_log (created, job_id, status, priority, entrypoint) VALUES "
    await sql.execute(row + "(now() - interval '29 days', 1, 'successful', 0, 'x')")
    await sql.execute(row + "(now() - interval '31 days', 2, 'successful', 0, 'x')")
    await worker.clean()
    assert [entry["job_id"] for entry in await sql.fetch("SELECT job_id FROM pgqueuer_log")] == [1]
