"""An attempt begins only for an order that may be paid as it stands once its lock is had."""

import asyncio
import json
from typing import Any

import pytest
from cast import Buyer, Shop

pytestmark = pytest.mark.usefixtures("clean")


async def _ordered(shop: Shop) -> tuple[Buyer, str]:
    (sku,) = await shop.stocked(10)
    buyer = await shop.buyer("begun")
    return buyer, await buyer.order({sku: 2})


async def _prepaid_while(shop: Shop, buyer: Buyer, no: str, change: str) -> int:
    """The status of a prepay that had to wait for somebody who does `change` to the order."""
    async with shop.sql.transaction():
        await shop.sql.execute(change, no)
        prepaying = asyncio.create_task(buyer.post(f"/orders/{no}/prepay"))
        done, _ = await asyncio.wait({prepaying}, timeout=0.2)
        assert not done
    return (await prepaying).status_code


async def _key(shop: Shop, no: str) -> Any:
    """The answer kept under the key of this order's prepay."""
    return await shop.sql.fetchval("SELECT answer FROM idempotency_key WHERE operation = $1", f"prepayOrder:{no}")


async def _attempts(shop: Shop, no: str) -> list[int]:
    rows = await shop.sql.fetch("SELECT amount_fen FROM payment WHERE payable = $1 ORDER BY id", no)
    return [row["amount_fen"] for row in rows]


async def test_one_that_is_being_closed_is_not_opened(shop: Shop) -> None:
    buyer, no = await _ordered(shop)
    assert await _prepaid_while(shop, buyer, no, "UPDATE orders SET state = 'closing' WHERE no = $1") == 409
    assert await _attempts(shop, no) == []
    await shop.sql.execute("UPDATE orders SET state = 'unpaid' WHERE no = $1", no)


async def test_one_whose_time_is_cut_is_not_opened(shop: Shop) -> None:
    buyer, no = await _ordered(shop)
    assert await _prepaid_while(shop, buyer, no, "UPDATE orders SET pay_by = created_at WHERE no = $1") == 409
    assert await _attempts(shop, no) == []


async def test_one_that_is_being_repriced_is_opened_at_the_new_price(shop: Shop) -> None:
    buyer, no = await _ordered(shop)
    change = """
        WITH o AS (
            UPDATE orders SET discount_fen = discount_fen + 1, total_fen = total_fen - 1 WHERE no = $1 RETURNING id
        )
        UPDATE order_line l SET paid_fen = paid_fen - 1 FROM o WHERE l.order_id = o.id
    """
    assert await _prepaid_while(shop, buyer, no, change) == 200
    assert await _attempts(shop, no) == [await shop.sql.fetchval("SELECT total_fen FROM orders WHERE no = $1", no)]


async def test_who_waits_for_the_order_in_vain_has_not_used_up_the_key(shop: Shop) -> None:
    buyer, no = await _ordered(shop)
    async with shop.sql.transaction():
        await shop.sql.execute("SELECT FROM orders WHERE no = $1 FOR UPDATE", no)
        assert (await buyer.post(f"/orders/{no}/prepay", key="waited-in-vain")).status_code == 503
        assert await _key(shop, no) is None
    assert (await buyer.post(f"/orders/{no}/prepay", key="waited-in-vain")).status_code == 200
    assert len(await _attempts(shop, no)) == 1


async def test_a_key_that_has_its_answer_begins_nothing(shop: Shop) -> None:
    """Not even where the attempt of then is over, and another could be begun."""
    buyer, no = await _ordered(shop)
    first = await buyer.post(f"/orders/{no}/prepay", key="answered-before")
    assert json.loads(await _key(shop, no)) == first.json()
    await shop.sql.execute("UPDATE payment SET state = 'closed', closed_at = now() WHERE payable = $1", no)
    assert (await buyer.post(f"/orders/{no}/prepay", key="answered-before")).json() == first.json()
    assert len(await _attempts(shop, no)) == 1


async def test_somebody_elses_is_not_there(shop: Shop) -> None:
    _, no = await _ordered(shop)
    other = await shop.buyer("another")
    assert (await other.post(f"/orders/{no}/prepay")).status_code == 404
    assert await _attempts(shop, no) == []


async def test_ten_at_once_are_one_attempt(shop: Shop) -> None:
    buyer, no = await _ordered(shop)
    answers = await asyncio.gather(*(buyer.post(f"/orders/{no}/prepay") for _ in range(10)))
    assert [answer.status_code for answer in answers] == [200] * 10
    assert len(await _attempts(shop, no)) == 1


async def test_the_shops_rule_of_profit_sharing_goes_along(shop: Shop) -> None:
    buyer, no = await _ordered(shop)
    await shop.sql.execute(
        "INSERT INTO payout_policy (id, daily_cap_fen, share_orders, share_at_most_bp, updated_at, updated_by)"
        " VALUES (1, 200000, true, 3000, now(), 'test')"
    )
    await buyer.prepay(no)
    assert await shop.sql.fetchval("SELECT profit_sharing FROM payment WHERE payable = $1", no)


async def test_who_is_writing_the_live_attempt_is_not_waited_for(shop: Shop) -> None:
    """They may want the order next, which is locked here: a circle."""
    buyer, no = await _ordered(shop)
    await buyer.prepay(no)
    async with shop.sql.transaction():
        await shop.sql.execute("UPDATE payment SET check_at = check_at WHERE payable = $1", no)
        prepaying = asyncio.create_task(buyer.post(f"/orders/{no}/prepay"))
        done, _ = await asyncio.wait({prepaying}, timeout=2)
        assert done
    assert (await prepaying).status_code == 200
    assert len(await _attempts(shop, no)) == 1
