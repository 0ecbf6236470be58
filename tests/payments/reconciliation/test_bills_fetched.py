"""Bills are fetched: not before they are there, each once, and again until one can be believed."""

import asyncio
from datetime import timedelta

import pytest
from cast import Shop
from mornings import MORNING, account, balance, bills_of, go_on, morning_after, open_cases, state_of, today

from payments.reconciliation import wanting


async def test_before_ten_nothing_is_asked_and_before_noon_nothing_is_no_answer(shop_of_its_own: Shop) -> None:
    """An empty day is believed late, and only while we know of no money of it."""
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    buyer = await shop.buyer("茶客")
    await shop.paid_order(buyer, {sku: 1})
    go_on(shop, 1, 9 * 60 + 59)
    await shop.worker.reconcile()
    assert await shop.sql.fetchval("SELECT count(*) FROM bill") == 0
    empty = today(shop)
    go_on(shop, 1, MORNING)
    await shop.worker.reconcile()
    assert await bills_of(shop, empty) == {"trade": "wanted", "fund_flow": "wanted"}
    assert await bills_of(shop, empty - timedelta(days=1)) == {"trade": "verified", "fund_flow": "verified"}
    go_on(shop, 0, 12 * 60 + 10)
    await shop.worker.reconcile()
    assert await bills_of(shop, empty) == {"trade": "empty", "fund_flow": "empty"}
    assert await state_of(shop, empty) == "agreed"


async def test_days_without_a_worker_are_caught_up(shop_of_its_own: Shop) -> None:
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    buyer = await shop.buyer("茶客")
    first = today(shop)
    for _ in range(3):
        await shop.paid_order(buyer, {sku: 1})
        go_on(shop, 1, MORNING)
    await shop.worker.reconcile()
    rows = await shop.sql.fetch("SELECT day, state FROM bill_day ORDER BY day")
    assert [(row["day"], row["state"]) for row in rows] == [(first + timedelta(days=n), "agreed") for n in range(3)]
    assert await balance(shop, "wechat") == account(shop)


async def test_two_workers_at_once_do_everything_once(shop_of_its_own: Shop) -> None:
    """And one that died holding a bill is followed by another when its lease is over."""
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    buyer = await shop.buyer("茶客")
    await shop.paid_order(buyer, {sku: 1})
    day = today(shop)
    go_on(shop, 1, MORNING)
    async with shop.db.begin() as session:
        await wanting.want(session, shop.world.clock.now())
        assert await wanting.claim_bill(session, shop.world.clock.now()) == (day, "fund_flow")  # and dies
    await asyncio.gather(shop.worker.reconcile(), shop.worker.reconcile())
    assert await bills_of(shop, day) == {"trade": "verified", "fund_flow": "wanted"}
    shop.world.skip(minutes=16)
    await asyncio.gather(shop.worker.reconcile(), shop.worker.reconcile())
    assert await state_of(shop, day) == "agreed"
    assert await shop.sql.fetchval("SELECT count(*) FROM bill_file") == 2
    assert await balance(shop, "wechat") == account(shop)


async def test_whatever_wechat_does_to_the_download_the_bill_comes_in_the_end(shop_of_its_own: Shop) -> None:
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    await shop.paid_order(await shop.buyer("茶客"), {sku: 1})
    day = today(shop)
    go_on(shop, 1, MORNING)
    for path, effect in (
        ("/v3/bill/tradebill", "500"),
        ("/v3/bill/tradebill", "429"),
        ("/v3/billdownload/file", "502_html"),
    ):
        shop.world.faults(path=path, effect=effect)
        await shop.worker.reconcile()
        shop.world.heal()
        assert (await bills_of(shop, day))["trade"] == "wanted"
        shop.world.skip(minutes=6)
    await shop.worker.reconcile()
    assert await state_of(shop, day) == "agreed"


@pytest.mark.parametrize("how", ["hash", "totals", "cut_short"])
async def test_a_bill_that_cannot_be_believed_is_asked_for_again(shop_of_its_own: Shop, how: str) -> None:
    """Kept aside once, tried three times, then a case; mended and run again, the case is resolved by itself."""
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    await shop.paid_order(await shop.buyer("茶客"), {sku: 1})
    shop.world.tell(f"bills/{today(shop)}/spoil", kind="trade", how=how)
    day = await morning_after(shop)
    for _ in range(2):
        assert (await bills_of(shop, day))["trade"] == "wanted"
        shop.world.skip(minutes=31)
        await shop.worker.reconcile()
    assert await bills_of(shop, day) == {"trade": "failed", "fund_flow": "verified"}
    assert await state_of(shop, day) == "differs"
    assert await open_cases(shop) == [("bill_broken", f"{day}:trade")]
    assert await shop.sql.fetchval("SELECT count(*) FROM bill_file WHERE broken IS NOT NULL") == 1
    assert await shop.sql.fetchval("SELECT count(*) FROM bill_trade") == 0
    shop.world.tell(f"bills/{day}/spoil", kind="trade", how=None)
    operator = await shop.operator()
    assert (await operator.post(f"/reconciliation/days/{day}/run")).status_code == 202
    await shop.worker.reconcile()
    assert await state_of(shop, day) == "agreed"
    assert await open_cases(shop) == []


async def _asked(shop: Shop, turns: int, **later: float) -> None:
    for _ in range(turns):
        shop.world.skip(**later)
        await shop.worker.reconcile()


async def test_two_hours_without_wechat_give_no_bill_up(shop_of_its_own: Shop) -> None:
    """Silence is asked again every five minutes: what counts is how long it lasted, and it lasts a day before it is a case."""
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    await shop.paid_order(await shop.buyer("茶客"), {sku: 1})
    day = today(shop)
    go_on(shop, 1, 13 * 60)
    shop.world.faults(path="/v3/bill/", effect="500", times=1000)
    await _asked(shop, 30, minutes=6)
    assert (await bills_of(shop, day), await open_cases(shop)) == ({"trade": "wanted", "fund_flow": "wanted"}, [])
    shop.world.heal()
    await _asked(shop, 1, minutes=6)
    assert (await bills_of(shop, day), await state_of(shop, day)) == (
        {"trade": "verified", "fund_flow": "verified"},
        "agreed",
    )


async def test_a_bill_that_is_still_being_made_is_waited_for(shop_of_its_own: Shop) -> None:
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    await shop.paid_order(await shop.buyer("茶客"), {sku: 1})
    day = today(shop)
    go_on(shop, 1, 13 * 60)
    shop.world.faults(path="/v3/bill/", effect="refused", status=400, code="STATEMENT_CREATING", times=1000)
    await _asked(shop, 30, minutes=31)
    assert await bills_of(shop, day) == {"trade": "wanted", "fund_flow": "wanted"}
    assert await open_cases(shop) == []


@pytest.mark.parametrize(
    ("fault", "turns", "minutes"),
    [({"effect": "500"}, 288, 6), ({"effect": "refused", "code": "NO_AUTH"}, 24, 61)],
    ids=["silent", "refused"],
)
async def test_after_a_day_in_vain_a_person_must_know(
    shop_of_its_own: Shop, fault: dict[str, str], turns: int, minutes: int
) -> None:
    """A day that is caught up late has a whole day of it as well."""
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    await shop.paid_order(await shop.buyer("茶客"), {sku: 1})
    day = today(shop)
    go_on(shop, 5, 13 * 60)
    shop.world.faults(path="/v3/bill/", times=100_000, **fault)
    await shop.worker.reconcile()
    spent = "UPDATE bill SET attempts = attempts * ($1 - 2) WHERE day = $2"
    await shop.sql.execute(spent, turns, day)
    await _asked(shop, 1, minutes=minutes)
    assert (await bills_of(shop, day))["trade"] == "wanted"
    await _asked(shop, 1, minutes=minutes)
    assert await bills_of(shop, day) == {"trade": "failed", "fund_flow": "failed"}
    assert await state_of(shop, day) == "differs"
    assert ("bill_unavailable", f"{day}:trade") in await open_cases(shop)
    facts = await shop.sql.fetchval("SELECT facts FROM payment_exception WHERE reference = $1", f"{day}:trade")
    assert '"attempts": 24' in facts
