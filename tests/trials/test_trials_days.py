"""Days of trade with everything going wrong, and no hand laid on: in the end orders, ledger and WeChat's bills agree to the fen."""

import random
from typing import Any

import pytest
from cast import Shop
from market import Market
from trialing import Rounds

from payments.reconciliation import beijing

OPENING_FEN = 100_000_000
"""What the simulated merchant's account begins with."""


@pytest.mark.trial("R9")
async def test_days_of_trade_agree_without_a_hand(shop_of_its_own: Shop, rounds: Rounds, chance: random.Random) -> None:
    shop = shop_of_its_own
    fair = Market(shop, chance)
    await fair.open()
    first, days = beijing.day_of(shop.world.clock.now()), rounds(3, 20)
    for _ in range(days):
        await fair.trade()
        await fair.night()
    for _ in range(2):  # what was late is in the bills of the days after
        await fair.night()
    await _agrees(shop, first, days)


async def _agrees(shop: Shop, first: Any, traded: int) -> None:
    assert await shop.broken() == {}
    states = {row["state"] for row in await shop.sql.fetch("SELECT state FROM orders")}
    assert not states & {"unpaid", "closing"}
    open_cases = await shop.sql.fetch("SELECT kind, reference, facts FROM payment_exception WHERE resolved_at IS NULL")
    assert [dict(row) for row in open_cases] == []
    under_way = "SELECT count(*) FROM refund WHERE state NOT IN ('succeeded', 'closed', 'refused')"
    assert await shop.sql.fetchval(under_way) == 0
    days = await shop.sql.fetch("SELECT day, state FROM bill_day WHERE day >= $1 ORDER BY day", first)
    assert len(days) >= traded + 1
    assert {row["state"] for row in days[:-1]} == {"agreed"}, days  # the last one's bills are not believed before noon
    totals = shop.world.http.get("/_sandbox/totals").json()
    received = await shop.sql.fetchval("SELECT sum(received_fen)::bigint FROM payment WHERE state = 'received'")
    returned = await shop.sql.fetchval("SELECT sum(amount_fen)::bigint FROM refund WHERE state = 'succeeded'")
    assert (totals["paid_fen"], totals["refunded_fen"]) == (received, returned)
    account = shop.world.http.get("/_sandbox/merchant/balance").json()["accounts"]["BASIC"]
    booked = "SELECT sum(CASE debit WHEN 'wechat' THEN amount_fen ELSE -amount_fen END)::bigint FROM posting"
    ours = await shop.sql.fetchval(f"{booked} WHERE 'wechat' IN (debit, credit)")
    assert account - OPENING_FEN == ours, "fees, withdrawals and all: what WeChat holds is what our ledger says"
