"""Whose turn a day is: once when all agrees, again when somebody asks, and a broken one holds up nobody."""

import asyncio
import contextlib
from datetime import date, timedelta
from typing import Any

import written_bills as written
from cast import Shop
from mornings import morning_after, refunded, state_of
from trading_days import flow_rows, number, seed, trade_rows

from payments.reconciliation import days
from payments.reconciliation.models import BillKind, DayState
from shop.app import ShopPayee

FIRST = date(2026, 3, 3)
SECOND = FIRST + timedelta(days=1)


async def _fill(till: Any, day: date, count: int = 1) -> None:
    await seed(till.sql, day, count)
    await till.want(day)
    await till.put(day, BillKind.TRADE, written.trade(trade_rows(day, count, {})))
    await till.put(day, BillKind.FUND_FLOW, written.flow(flow_rows(day, count, {})))


async def test_a_day_that_agrees_is_matched_no_more(shop_of_its_own: Shop) -> None:
    """Also when WeChat had to be asked about it, which takes its time."""
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    await refunded(shop, await shop.paid_order(await shop.buyer("茶客"), {sku: 1}))
    day = await morning_after(shop)
    assert await state_of(shop, day) == "agreed"
    matched = await shop.sql.fetchval("SELECT run FROM bill_day WHERE day = $1", day)
    shop.world.skip(minutes=20)
    await shop.worker.reconcile()
    assert await shop.sql.fetchval("SELECT run FROM bill_day WHERE day = $1", day) == matched


async def test_whoever_asks_for_a_day_while_it_is_matched_gets_a_match_of_their_own(till: Any) -> None:
    """The cases are locked, so the match waits there: it has looked at everything already."""
    await _fill(till, FIRST)
    await till.sql.execute("UPDATE orders SET state = 'unpaid', paid_at = NULL")
    locking = till.sql.transaction()
    await locking.start()
    await till.sql.execute("LOCK TABLE payment_exception IN SHARE MODE")
    matching = asyncio.create_task(till.match(FIRST))
    while not matching.done() and not await till.sql.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        await asyncio.sleep(0.01)
    till.clock.advance(timedelta(minutes=1))
    asked_at = till.clock.now()
    await till.want(FIRST)
    till.clock.advance(timedelta(minutes=1))
    await locking.rollback()
    assert await matching == DayState.DIFFERS
    assert await till.sql.fetchval("SELECT check_at FROM bill_day") == asked_at


async def test_a_day_that_cannot_be_matched_holds_up_no_other(till: Any) -> None:
    """What differs on it cannot be written down. It says that it failed, and has its next turn later."""
    for day in (FIRST, SECOND):
        await _fill(till, day)
    await till.sql.execute("UPDATE orders SET state = 'unpaid', paid_at = NULL WHERE no = $1", number("O", FIRST, 0))
    await till.sql.execute("ALTER TABLE bill_difference ADD CONSTRAINT broken CHECK (kind <> 'order_unpaid')")
    try:
        with contextlib.suppress(TimeoutError):  # a turn that does not end is a day that is taken again and again
            async with asyncio.timeout(60):
                await days.turn(till.db, till.gateway, ShopPayee(), till.clock)
    finally:
        await till.sql.execute("ALTER TABLE bill_difference DROP CONSTRAINT broken")
    rows = await till.sql.fetch("SELECT day, state, last_error FROM bill_day WHERE day <= $1 ORDER BY day", SECOND)
    assert [(row["day"], row["state"]) for row in rows] == [(FIRST, "open"), (SECOND, "differs")]
    assert rows[0]["last_error"] == "CheckViolationError"
    till.clock.advance(timedelta(minutes=16))
    await days.turn(till.db, till.gateway, ShopPayee(), till.clock)
    assert await till.cases() >= {("order_unpaid", number("O", FIRST, 0))}


async def test_an_old_day_that_is_run_again_keeps_what_is_known_of_it(till: Any) -> None:
    """Its bills are beyond WeChat's reach: to ask for them again would only lose what they said."""
    old = till.clock.now().date() - timedelta(days=88)
    await till.want(old)
    await till.sql.execute("UPDATE bill SET state = 'empty'")
    assert await till.match(old) == DayState.AGREED
    till.clock.advance(timedelta(days=3))
    await till.want(old)
    await days.turn(till.db, till.gateway, ShopPayee(), till.clock)
    assert {row["state"] for row in await till.sql.fetch("SELECT state FROM bill")} == {"empty"}
    assert await till.sql.fetchval("SELECT (state, run) = ('agreed', 4) FROM bill_day")
