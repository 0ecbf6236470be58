"""Who cancels meets others: more who cancel, and money on its way."""

import asyncio
from typing import Any

import pytest
from cast import Shop

from shop.orders import closing


async def test_cancelled_many_times_at_once_the_goods_come_back_once(shop: Shop) -> None:
    """Ten taps, each a wish of its own; others have the same goods reserved, so that nothing but the lock helps."""
    buyer, other = await shop.buyer("alice"), await shop.buyer("bob")
    (sku,) = await shop.stocked(50)
    await other.order({sku: 40})
    no = await buyer.order({sku: 2})
    answers = await asyncio.gather(*(buyer.post(f"/orders/{no}/cancel", {}) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    assert await shop.stock(sku) == (10, 40, 0)
    assert await buyer.state(no) == "cancelled"


async def test_money_that_comes_between_close_and_cancel_is_told_to_who_cancels(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WeChat had let the buyer pay when it took the close; the news is there before the goods would go back."""
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 2})
    out_trade_no = await buyer.prepay(no)
    finish = closing._finish

    async def after_the_news(*given: Any) -> None:
        shop.world.pay(out_trade_no, raced=True)
        assert (await shop.notify()).status_code == 204
        await finish(*given)

    monkeypatch.setattr(closing, "_finish", after_the_news)
    answer = await buyer.post(f"/orders/{no}/cancel", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "already_paid")
    assert await buyer.state(no) == "paid"
    assert await shop.stock(sku) == (3, 0, 2)
