"""Refunds that end badly, and what people may do about them."""

import asyncio

from cast import Shop
from till_and_staff import Bought, ask, at_wechat, bought, heard, late_money, swept


def _close_account(order: Bought, closed: bool = True) -> None:
    order.shop.world.tell("users", user=order.buyer.name, account_closed=closed)


async def test_refused_for_good_says_what_can_be_done_and_keeps_its_number_when_mended(shop: Shop) -> None:
    operator, late = await shop.operator(), await late_money(shop)
    _close_account(late)
    await shop.run_jobs()
    (row,) = await late.rows()
    number = row["out_refund_no"]
    shown = (await operator.get(f"/refunds/{number}")).json()
    assert (shown["state"], shown["actions"]) == ("refused", ["retry"])
    assert "USERACCOUNTABNORMAL" in shown["lastError"]
    assert [case["kind"] for case in shown["cases"]] == ["paid_after_close", "refund_refused"]
    assert shown["cases"][1]["facts"] == {"code": "USERACCOUNTABNORMAL"}
    assert (await late.rows())[0]["promises"] == 1
    _close_account(late, closed=False)
    again = await operator.post(f"/refunds/{number}/retry", key="retry-it-once")
    assert (again.status_code, again.json()["outRefundNo"], again.json()["state"]) == (200, number, "requested")
    assert (await operator.post(f"/refunds/{number}/retry", key="retry-it-once")).text == again.text
    await heard(shop)
    assert [(row["out_refund_no"], row["state"], row["promises"]) for row in await late.rows()] == [
        (number, "succeeded", 2)
    ]
    assert [cause for cause, *_ in (await late.postings())[1:]] == [
        f"refund:{number}",
        f"refund_ended:{number}",
        f"refund:{number}:2",
        f"refunded:{number}",
    ]
    shown = (await operator.get(f"/refunds/{number}")).json()
    assert ([case["resolvedBy"] for case in shown["cases"]], len(shown["postings"])) == (["system", "system"], 4)
    done = await operator.post(f"/refunds/{number}/retry")
    assert (done.status_code, done.json()["code"]) == (409, "nothing_to_retry")


async def test_refused_though_wechat_had_it_is_taken_up_where_it_is(shop: Shop) -> None:
    """Its answers were lost and a refusal came last: a retry asks first, and makes nothing twice."""
    operator, late = await shop.operator(), await late_money(shop)
    _close_account(late)
    await shop.run_jobs()
    (row,) = await late.rows()
    _close_account(late, closed=False)
    await shop.worker.gateway.refund(
        out_refund_no=row["out_refund_no"],
        out_trade_no=late.out_trade_no,
        amount_fen=late.total_fen,
        total_fen=late.total_fen,
        reason="x",
    )
    shop.world.skip(seconds=5)
    answer = await operator.post(f"/refunds/{row['out_refund_no']}/retry")
    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
    assert len([refund for refund in at_wechat(shop) if refund["out_trade_no"] == late.out_trade_no]) == 1
    assert (await shop.notify()).status_code == 204


async def test_closed_too_often_a_person_begins_the_next_turn(shop: Shop) -> None:
    shop.world.tell("settings", refund_delay_s=3600)
    operator, late = await shop.operator(), await late_money(shop)
    for _ in range(6):
        await swept(shop, minutes=2)
        shop.world.tell(f"refunds/{(await late.rows())[-1]['out_refund_no']}/state", status="CLOSED")
        assert (await shop.notify()).status_code == 204
    rows = await late.rows()
    assert [row["state"] for row in rows] == ["closed"] * 6
    cases = (await operator.get("/payment-exceptions", openOnly=True, kind="refund_closed")).json()["items"]
    assert ("retryRefund" in cases[0]["actions"], cases[0]["reference"]) == (True, rows[-1]["out_refund_no"])
    early = await operator.post(f"/refunds/{rows[0]['out_refund_no']}/retry")
    assert (early.json()["code"], early.json()["outRefundNo"]) == ("refund_begun_again", rows[-1]["out_refund_no"])
    answer = await operator.post(f"/refunds/{rows[-1]['out_refund_no']}/retry")
    assert (answer.status_code, answer.json()["cause"][-2:], answer.json()["state"]) == (200, "#6", "requested")
    shop.world.tell("settings", refund_delay_s=1)
    await swept(shop, minutes=2)
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    assert (await late.rows())[-1]["state"] == "succeeded"


async def test_a_failed_after_sale_is_simply_asked_for_again_with_its_goods(shop: Shop) -> None:
    operator, order = await shop.operator(), await bought(shop)
    _close_account(order)
    whole = {"lines": [{"lineId": order.line, "quantity": 2}]}
    number = (await ask(operator, order.no, **whole)).json()["refund"]["no"]
    assert await shop.stock(order.sku) == (10, 0, 0)
    await shop.run_jobs()
    seen = await order.seen()
    assert (seen["refundedFen"], seen["lines"][0]["refundedQuantity"], seen["state"]) == (0, 0, "paid")
    assert await shop.stock(order.sku) == (8, 0, 2), "the goods are owed again"
    retried = await operator.post(f"/refunds/{number}/retry")
    assert (retried.status_code, retried.json()["code"]) == (409, "refund_again")
    assert (await operator.get(f"/refunds/{number}")).json()["actions"] == ["refundAgain"]
    _close_account(order, closed=False)
    again = (await ask(operator, order.no, **whole)).json()["refund"]["no"]
    assert again != number
    await swept(shop, minutes=2)
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    assert ((await order.seen())["state"], await shop.stock(order.sku)) == ("refunded", (10, 0, 0))


async def test_goods_that_were_sold_to_others_meanwhile_are_a_persons_care(shop: Shop) -> None:
    operator, order = await shop.operator(), await bought(shop)
    _close_account(order)
    whole = {"lines": [{"lineId": order.line, "quantity": 2}]}
    await ask(operator, order.no, **whole)
    other = await shop.buyer("other")
    await shop.paid_order(other, {order.sku: 9})
    await shop.run_jobs()
    case = await shop.sql.fetchrow("SELECT facts FROM payment_exception WHERE kind = 'goods_sold_again'")
    assert '"quantity": 2' in case["facts"]
    assert await shop.stock(order.sku) == (1, 0, 9)
    _close_account(order, closed=False)
    await ask(operator, order.no, **whole)
    assert await shop.stock(order.sku) == (1, 0, 9), "they are on sale already: not once more"
    await swept(shop, minutes=2)
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    assert (await order.seen())["state"] == "refunded"


async def test_four_parts_at_once_never_exceed_the_payment(shop: Shop) -> None:
    operator, order = await shop.operator(), await bought(shop)
    part = order.total_fen // 3
    answers = await asyncio.gather(*(ask(operator, order.no, amountFen=part + 1) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 422, 422]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 422} == {"order_too_much"}
    assert (await order.payment())["refunded_fen"] == 2 * (part + 1)


async def test_with_a_coupon_the_payer_gets_a_share_and_we_say_so(shop: Shop) -> None:
    operator, order = await shop.operator(), await bought(shop, coupon_fen=300)
    total = order.total_fen
    await ask(operator, order.no, amountFen=total // 2)
    await heard(shop)
    (row,) = await order.rows()
    assert row["payer_refund_fen"] + row["discount_refund_fen"] == total // 2
    assert row["discount_refund_fen"] > 0
    await ask(operator, order.no, amountFen=total - total // 2)
    await swept(shop, minutes=2)
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    assert sum(row["discount_refund_fen"] for row in await order.rows()) == 300
    refund = (await order.seen())["refunds"][0]
    assert (refund["payerRefundFen"], refund["userReceivedAccount"]) == (row["payer_refund_fen"], "支付用户零钱")
    assert (refund["state"], refund["stateText"]) == ("succeeded", "已退款")
