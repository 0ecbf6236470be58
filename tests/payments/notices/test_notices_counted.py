"""Notices that are WeChat's count once, however often and in whatever order they come."""

import asyncio

from cast import Shop
from liar import Liar, unpaid_trade
from traces import outcomes, state_of
from world import Letter


async def test_fifty_at_once_settle_once(shop: Shop, liar: Liar) -> None:
    """The same notice, and the same payment under fifty other ids."""
    no, trade = await unpaid_trade(shop, liar)
    body = liar.envelope(trade)
    answers = await asyncio.gather(*(liar.send(body) for _ in range(50)))
    answers += await asyncio.gather(*(liar.send(liar.envelope(trade)) for _ in range(50)))
    later = [answer for answer in answers if answer.status_code != 204]
    assert {answer.status_code for answer in later} <= {503}, "later, and WeChat repeats"
    assert len(answers) - len(later) >= 40
    assert await state_of(shop, no) == "paid"
    assert await shop.sql.fetchval("SELECT count(*) FROM payment WHERE applied") == 1
    assert await shop.sql.fetchval("SELECT count(*) FROM posting WHERE cause LIKE 'received:%'") == 1
    assert await shop.sql.fetchval("SELECT count(*) FROM order_event WHERE what = 'paid'") == 1
    assert await shop.sql.fetchval("SELECT count(*) FROM notice WHERE id = $1", body["id"]) == 1


async def test_the_refund_is_heard_of_before_the_payment(shop: Shop) -> None:
    """Late money goes back by itself; of its refund we hear twice, and of the payment again after that."""
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    out_trade_no = await buyer.prepay(no)
    await buyer.post(f"/orders/{no}/cancel", {})
    shop.world.pay(out_trade_no, raced=True)
    payment: Letter = shop.mailbox.take()
    await buyer.post(f"/orders/{no}/payment/refresh", {})  # we asked, and so knew before we were told
    if not await shop.sql.fetchval("SELECT count(*) FROM refund"):
        assert (await shop.notify(payment)).status_code == 204
    await shop.run_jobs()
    shop.world.skip(seconds=5)
    refund = shop.mailbox.take()
    for letter in (refund, payment, refund, payment):
        assert (await shop.notify(letter)).status_code == 204
    states = await shop.sql.fetch("SELECT state FROM refund WHERE payable = $1", no)
    assert [row["state"] for row in states] == ["succeeded"]
    assert await state_of(shop, no) == "cancelled"
    causes = await shop.sql.fetch("SELECT split_part(cause, ':', 1) AS what FROM posting ORDER BY id")
    told = [row["what"] for row in causes]
    assert told[0] == "received"
    assert len(set(told)) == len(told), "nothing is booked twice"


async def test_news_of_a_refund_nobody_asked_for(shop: Shop, liar: Liar) -> None:
    """Before the payment is known, or made by hand in the portal: kept, shown, and nothing else moves."""
    no, trade = await unpaid_trade(shop, liar)
    refund = {
        "mchid": trade["mchid"],
        "out_trade_no": trade["out_trade_no"],
        "transaction_id": trade["transaction_id"],
        "out_refund_no": "R20260302000001",
        "refund_id": "50300009992026030200000000001",
        "refund_status": "SUCCESS",
        "success_time": "2026-03-02T12:00:05+08:00",
        "amount": {"total": 1, "refund": 1, "payer_total": 1, "payer_refund": 1},
    }
    assert (await liar.send(liar.envelope(refund, "REFUND.SUCCESS"))).status_code == 204
    assert await state_of(shop, no) == "unpaid"
    assert await outcomes(shop) != [None], "it is a case, or is looked into"
    assert await shop.sql.fetchval("SELECT count(*) FROM posting") == 0
    assert (await liar.send(liar.envelope(trade))).status_code == 204
    assert await state_of(shop, no) == "paid"
