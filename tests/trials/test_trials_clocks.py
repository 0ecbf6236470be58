"""Clocks jump, the database's and the shop's own: an order expires once, nobody's money goes back early, and a payment at
midnight in Shanghai is in the bill of its day."""

import random
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from cast import Shop
from customers import Customers
from market import Market
from processes import fetch
from till import until
from trialing import Rounds
from wired import ClockedCluster, Wired, pause, shopping

from payments.reconciliation import beijing

AHEAD_S = 2 * 60 * 60


@pytest.mark.trial("R25")
@pytest.mark.faketime
@pytest.mark.xdist_group("wired")
def test_the_clock_of_the_database_jumps_under_load(wired: Wired, rounds: Rounds, chance: random.Random) -> None:
    """Business time is the shop's: what the database calls now decides when a job is taken, and nothing about money."""
    cluster = wired.cluster
    assert isinstance(cluster, ClockedCluster)
    if not cluster.can_be_set:
        pytest.skip("libfaketime is not installed")
    try:
        with shopping(wired, 4):
            for minutes in [40, -10] * rounds(1, 10):
                cluster.set_ahead(minutes * 60)
                until("it has jumped", lambda ahead=minutes * 60: abs(_ahead(cluster) - ahead) < 30)
                pause(chance.uniform(0.5, 1.5))
            cluster.set_ahead(0)
    finally:
        cluster.set_ahead(0)


def _ahead(cluster: ClockedCluster) -> float:
    """A new session's."""
    return float(fetch(cluster.owner_url(), "SELECT extract(epoch FROM clock_timestamp())::float8")[0][0]) - time.time()


@pytest.mark.trial("R25")
@pytest.mark.xdist_group("wired")
def test_the_clock_of_the_shop_is_two_hours_ahead_and_comes_back(wired: Wired, rounds: Rounds) -> None:
    before = wired.known()
    customers = Customers(wired, 3)
    customers.stock()
    refunds = wired.fetch("SELECT count(*) FROM refund")[0][0]
    for _ in range(rounds(1, 10)):
        paid = customers.buy(customers.buyers[0], pays=True)
        left, opened = _unpaid(customers, 1), _unpaid(customers, 2)
        assert customers.buyers[2].until_answered("POST", f"/api/v1/orders/{opened}/prepay").status_code == 200
        wired.shop_ahead(AHEAD_S)
        try:
            for no in (left, opened):
                until("they expire", lambda no=no: _state(wired, no) == "cancelled")
            assert not wired.pay(wired.attempt(opened)), "its sheet is closed at WeChat"
            ahead = customers.buy(customers.buyers[1], pays=True)
        finally:
            wired.shop_ahead(0)
        pause(1.0)  # each process reads it again within 0.2 s, and ends the sweep that began before
        back = _unpaid(customers, 1)
        later = customers.buy(customers.buyers[0], pays=True)
        pause(1.5)  # some sweeps
        assert {_state(wired, no) for no in (paid, ahead, later)} == {"paid"}
        assert _state(wired, back) == "unpaid"
        assert _times(wired, left) == {"cancelled": 1}
        assert _times(wired, opened) == {"closing": 1, "cancelled": 1}
    assert wired.fetch("SELECT count(*) FROM refund")[0][0] == refunds
    wired.world.skip(seconds=AHEAD_S)  # what was put off while the clock was ahead has its turn
    wired.verdict(before + customers.answered)


def _unpaid(customers: Customers, number: int) -> str:
    no = str(customers.buyers[number].order(customers.sku)["no"])
    customers.answered.append(no)
    return no


def _state(wired: Wired, no: str) -> str:
    return str(wired.fetch("SELECT state FROM orders WHERE no = $1", no)[0][0])


def _times(wired: Wired, no: str) -> dict[str, int]:
    """How often an order ended."""
    rows = wired.fetch(
        """SELECT e.what, count(*) FROM order_event e JOIN orders o ON o.id = e.order_id
        WHERE o.no = $1 AND e.what IN ('closing', 'cancelled') GROUP BY 1""",
        no,
    )
    return dict(rows)


@pytest.mark.trial("R25")
async def test_around_midnight_in_shanghai_all_is_in_the_bill_of_its_day(
    shop_of_its_own: Shop, rounds: Rounds, chance: random.Random
) -> None:
    shop = shop_of_its_own
    market = Market(shop, chance)
    await market.open()
    days: dict[str, Any] = {}
    for _ in range(rounds(1, 20)):
        today = _beijing(shop)
        # In the last nine minutes of a day: to those of the next one. The simulated clock goes forward only.
        shop.world.skip(seconds=((_midnight(today) - timedelta(minutes=9) - today) % timedelta(days=1)).total_seconds())
        numbers = [await _sheet(market, buyer) for buyer in market.buyers]
        today = _beijing(shop)
        shop.world.skip(seconds=(_midnight(today) - timedelta(seconds=1.2) - today).total_seconds())
        for number, late in zip(numbers, (False, True, True), strict=True):
            if late and _beijing(shop).date() == today.date():
                shop.world.skip(seconds=(_midnight(today) - _beijing(shop)).total_seconds())
            shop.world.pay(number)
            days[number] = _beijing(shop).date()
        assert len({days[number] for number in numbers}) == 2, "all on one day: nothing was tried"
        await market.post()
        for _ in range(2):
            await market.night()
    rows = await shop.sql.fetch("SELECT out_trade_no, day FROM bill_trade WHERE refund_id IS NULL")
    assert {row["out_trade_no"]: row["day"] for row in rows} == days
    states = await shop.sql.fetch("SELECT state FROM bill_day WHERE day = ANY($1)", list(set(days.values())))
    assert {row["state"] for row in states} == {"agreed"}
    assert await shop.broken() == {}


async def _sheet(market: Market, buyer: Any) -> str:
    placed = await buyer.place({market.skus[0]: 1})
    assert placed.status_code == 201, placed.text
    no = placed.json()["no"]
    assert (await buyer.post(f"/orders/{no}/prepay")).status_code == 200
    return str(await market.shop.sql.fetchval("SELECT out_trade_no FROM payment WHERE payable = $1", no))


def _beijing(shop: Shop) -> datetime:
    return shop.world.clock.now().astimezone(beijing.BEIJING)


def _midnight(of: datetime) -> datetime:
    return (of + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
