"""Money that is nobody's yet stays in somebody's sight, however often it goes wrong."""

from cast import Operator, Shop
from test_refunds_abnormal import CARD, _abnormal
from test_refunds_found import _by_hand
from till_and_staff import another, ask, bought, late_money, policy, swept


async def _open_kinds(shop: Shop) -> list[str]:
    rows = await shop.sql.fetch("SELECT kind FROM payment_exception WHERE resolved_at IS NULL ORDER BY id")
    return [row["kind"] for row in rows]


async def _resolve_all(operator: Operator) -> None:
    for case in (await operator.get("/payment-exceptions", openOnly=True)).json()["items"]:
        answer = await operator.post(f"/payment-exceptions/{case['id']}/resolve", {"resolution": "再试一次"})
        assert answer.status_code == 204, answer.text


async def test_to_the_merchants_card_with_a_lost_answer_somebody_still_owes_the_buyer(shop: Shop) -> None:
    operator, order, number = await _abnormal(shop)
    shop.world.tell("settings", refund_delay_s=1)
    shop.world.faults(method="POST", path=".*/apply-abnormal-refund", times=1, effect="500_after")
    wish = {"kind": "merchantBankCard"}
    answer = await operator.post(f"/refunds/{number}/apply-abnormal", wish, key="lost-answer")
    assert answer.status_code == 503, answer.text
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    assert (await order.rows())[0]["state"] == "succeeded"
    assert await _open_kinds(shop) == ["refund_to_merchant"]
    again = await operator.post(f"/refunds/{number}/apply-abnormal", wish, key="lost-answer")
    assert again.status_code == 200, again.text
    assert await _open_kinds(shop) == ["refund_to_merchant"]


async def test_when_the_payers_card_is_taken_after_all_nobody_owes_the_buyer(shop: Shop) -> None:
    """The wish for the merchant's card never came through: paid by hand as well, the buyer would have it twice."""
    operator, order, number = await _abnormal(shop)
    shop.world.tell("settings", refund_delay_s=1)
    shop.world.faults(method="POST", path=".*/apply-abnormal-refund", times=1, effect="500")
    answer = await operator.post(f"/refunds/{number}/apply-abnormal", {"kind": "merchantBankCard"})
    assert answer.status_code == 503, answer.text
    assert await _open_kinds(shop) == ["refund_abnormal", "refund_to_merchant"]
    answer = await operator.post(f"/refunds/{number}/apply-abnormal", CARD)
    assert (answer.status_code, answer.json()["state"]) == (200, "processing"), answer.text
    assert [case["resolution"] for case in answer.json()["cases"]] == [None, "sent_to_payer"]
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    assert (await order.rows())[0]["state"] == "succeeded"
    assert await _open_kinds(shop) == []


async def test_what_wechat_refuses_to_send_to_the_merchants_card_owes_nobody_anything(shop: Shop) -> None:
    operator, _, number = await _abnormal(shop)
    wish = {"kind": "merchantBankCard"}
    shop.world.tell("delivery", mode="never")
    shop.world.tell(f"refunds/{number}/state", status="SUCCESS")
    answer = await operator.post(f"/refunds/{number}/apply-abnormal", wish)
    assert (answer.status_code, answer.json()["code"]) == (409, "abnormal_refused"), answer.text
    assert await _open_kinds(shop) == ["refund_abnormal"]
    shop.world.tell("delivery", mode="normal")


async def test_sent_back_as_often_as_it_is_rejected(shop: Shop) -> None:
    """The second person says no, again and again: each time it is somebody's to decide."""
    first = await shop.operator()
    second = await another(first)
    await policy(first, wrongAmount="decide", refundApprovalAboveFen=0)
    buyer = await shop.buyer("odd")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    out_trade_no = await buyer.prepay(no)
    await shop.sql.execute("UPDATE payment SET amount_fen = amount_fen + 1 WHERE out_trade_no = $1", out_trade_no)
    shop.world.pay(out_trade_no)
    assert (await shop.notify()).status_code == 204
    for _ in range(4):
        (case,) = (await first.get("/payment-exceptions", openOnly=True)).json()["items"]
        sent = await first.post(f"/payment-exceptions/{case['id']}/send-back")
        assert sent.json()["refund"]["state"] == "waiting", sent.text
        number = sent.json()["refund"]["outRefundNo"]
        assert (await second.post(f"/refunds/{number}/reject", {"reason": "再等等"})).status_code == 200


async def test_refused_once_more_is_a_case_once_more(shop: Shop) -> None:
    operator, late = await shop.operator(), await late_money(shop)
    shop.world.tell("users", user=late.buyer.name, account_closed=True)
    await shop.run_jobs()
    assert "refund_refused" in await _open_kinds(shop)
    await _resolve_all(operator)
    number = (await late.rows())[0]["out_refund_no"]
    assert (await operator.post(f"/refunds/{number}/retry")).json()["state"] == "requested"
    await shop.run_jobs()
    assert (await late.rows())[0]["state"] == "refused"
    assert await _open_kinds(shop) == ["refund_refused"]


async def test_a_rejection_makes_room_for_what_was_refunded_by_hand(shop: Shop) -> None:
    first = await shop.operator()
    second = await another(first)
    await policy(first, refundApprovalAboveFen=1000)
    order = await bought(shop)
    number = (await ask(first, order.no, amountFen=order.total_fen)).json()["refund"]["no"]
    await _by_hand(order, "50300808952026_by_hand", order.total_fen)
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    assert await _open_kinds(shop) == ["unknown_refund"]
    assert (await second.post(f"/refunds/{number}/reject", {"reason": "已在商户平台退款"})).status_code == 200
    await swept(shop, minutes=1)
    assert (await order.seen())["state"] == "refunded"
    assert await _open_kinds(shop) == []
