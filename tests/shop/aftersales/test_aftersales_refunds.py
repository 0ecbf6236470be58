"""Refunds by line: to the fen, never twice, never more than was paid."""

import asyncio

import pytest
from cast import Buyer, Shop

from payments import refunds
from payments.trades import RefundTrade
from payments.wechatpay.gateway import Unknown


async def _paid(shop: Shop, price_fen: int, quantity: int) -> tuple[Buyer, str, str, int]:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(10, price_fen=price_fen)
    no = await shop.paid_order(buyer, {a: quantity})
    line = (await buyer.get(f"/orders/{no}")).json()["lines"][0]
    return buyer, no, line["id"], a


async def _finish(shop: Shop, times: int = 1) -> None:
    """The job asks WeChat, the refund succeeds there, and its news arrives."""
    await shop.run_jobs()
    shop.world.skip(seconds=5)
    for _ in range(times):
        assert (await shop.notify()).status_code == 204


async def test_one_piece_before_shipping_goes_back_on_sale(shop: Shop) -> None:
    operator = await shop.operator()
    buyer, no, line, sku = await _paid(shop, 10_001, 3)
    answer = await operator.refund(no, {line: 1}, key="refund-once")
    assert (answer.status_code, answer.json()["amountFen"], answer.json()["restock"]) == (201, 10_001, True)
    again = await operator.refund(no, {line: 1}, key="refund-once")
    assert again.text == answer.text
    assert await shop.stock(sku) == (8, 0, 2)
    await _finish(shop)
    order = (await buyer.get(f"/orders/{no}")).json()
    assert (order["state"], order["refundedFen"], order["refunds"][0]["state"]) == ("paid", 10_001, "succeeded")


async def test_all_of_it_in_pieces_is_exactly_what_was_paid(shop: Shop) -> None:
    operator = await shop.operator()
    buyer, no, line, sku = await _paid(shop, 3333, 3)
    total = (await buyer.get(f"/orders/{no}")).json()["totalFen"]
    amounts = []
    for _ in range(3):
        amounts.append((await operator.refund(no, {line: 1})).json()["amountFen"])
        await _finish(shop)
        shop.world.skip(minutes=2)  # the parts of one payment go out a minute apart
    order = (await buyer.get(f"/orders/{no}")).json()
    assert (sum(amounts), order["state"], order["refundedFen"]) == (total, "refunded", total)
    assert await shop.stock(sku) == (10, 0, 0)
    more = await operator.refund(no, {line: 1})
    assert (more.status_code, more.json()["code"]) == (422, "more_than_ordered")


async def test_what_was_shipped_is_not_on_sale_again_and_its_freight_is_spent(shop: Shop) -> None:
    operator = await shop.operator()
    buyer, no, line, sku = await _paid(shop, 3333, 2)
    shipped = await operator.post(f"/orders/{no}/ship", {"carrier": "SF", "trackingNo": "SF1234567890"})
    assert shipped.json()["freightFen"] > 0
    sale = (await operator.refund(no, {line: 2})).json()
    assert (sale["amountFen"], sale["freightFen"], sale["restock"]) == (6666, 0, False)
    assert await shop.stock(sku) == (8, 0, 2)
    await _finish(shop)
    order = (await buyer.get(f"/orders/{no}")).json()
    assert (order["state"], order["refundedFen"]) == ("shipped", 6666)
    assert await shop.stock(sku) == (8, 0, 2)


async def test_two_operators_at_once_do_not_refund_twice(shop: Shop) -> None:
    operator = await shop.operator()
    _, no, line, _ = await _paid(shop, 5000, 1)
    answers = await asyncio.gather(*(operator.refund(no, {line: 1}) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422]
    assert await shop.sql.fetchval("SELECT count(*) FROM refund") == 1


async def test_what_cannot_be_refunded_is_named(shop: Shop) -> None:
    operator = await shop.operator()
    buyer, no, line, sku = await _paid(shop, 5000, 1)
    unpaid = await buyer.order({sku: 1})
    for which, lines, more, code in (
        (no, {"999999": 1}, {}, "unknown_line"),
        (no, {line: 2}, {}, "more_than_ordered"),
        (no, {}, {"freightFen": 10_000_000}, "freight_too_much"),
        (no, {}, {}, "nothing_to_refund"),
        (unpaid, {line: 1}, {}, "not_paid"),
    ):
        answer = await operator.refund(which, lines, **more)
        assert answer.json()["code"] == code, answer.text
    for quantity in (0, -1, 1.5, "1"):
        assert (await operator.refund(no, {line: quantity})).status_code == 400  # type: ignore[dict-item]


async def test_a_lost_answer_is_asked_for_with_the_same_number(shop: Shop) -> None:
    operator = await shop.operator()
    buyer, no, line, _ = await _paid(shop, 5000, 2)
    await operator.refund(no, {line: 1})
    shop.world.faults(method="POST", path=".*/refunds", times=1, effect="500_after")
    (number,) = [row["out_refund_no"] for row in await shop.sql.fetch("SELECT out_refund_no FROM refund")]
    with pytest.raises(Unknown):
        await shop.worker.submit_refund(number)
    await shop.worker.submit_refund(number)
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    assert (await buyer.get(f"/orders/{no}")).json()["refunds"][0]["state"] == "succeeded"
    assert (
        len([r for r in shop.world.http.get("/_sandbox/refunds").json()["items"] if r["out_refund_no"] == number]) == 1
    )


async def test_a_refund_that_wechat_closes_frees_what_was_claimed(shop: Shop) -> None:
    operator = await shop.operator()
    buyer, no, line, _ = await _paid(shop, 5000, 2)
    await operator.refund(no, {line: 1}, restock=False)
    number = await shop.sql.fetchval("SELECT out_refund_no FROM refund")
    await shop.run_jobs()
    shop.world.tell(f"refunds/{number}/state", status="CLOSED")
    assert (await shop.notify()).status_code == 204
    order = (await buyer.get(f"/orders/{no}")).json()
    assert (order["refundedFen"], order["lines"][0]["refundedQuantity"]) == (0, 0)
    assert await shop.sql.fetchval("SELECT kind FROM payment_exception") == "refund_closed"
    assert (await operator.refund(no, {line: 1})).status_code == 201


async def test_news_that_overtakes_the_answer_is_no_exception(shop: Shop) -> None:
    """SUCCESS is heard before the request's own answer (PROCESSING) is written down."""
    operator = await shop.operator()
    _, no, line, _ = await _paid(shop, 5000, 1)
    await operator.refund(no, {line: 1})
    await _finish(shop)
    number = await shop.sql.fetchval("SELECT out_refund_no FROM refund")
    async with shop.db.begin() as session:
        late = RefundTrade(out_refund_no=number, status="PROCESSING")
        assert await refunds.learn(session, shop.worker.payee, late, shop.world.clock.now()) == "known"
    assert await shop.sql.fetchval("SELECT count(*) FROM payment_exception") == 0
