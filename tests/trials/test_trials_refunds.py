"""Refunds that do not go smoothly: closed by WeChat, abnormal, refused for a moment, contradicted."""

import pytest
from cast import Shop

from payments.wechatpay.gateway import Refused

pytestmark = [pytest.mark.usefixtures("quiet"), pytest.mark.trial("R8")]


async def _late_money(shop: Shop) -> str:
    """An order that was closed, and paid all the same; its no."""
    buyer = await shop.buyer("late")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    out_trade_no = await buyer.prepay(no)
    shop.world.skip(minutes=31)
    await shop.worker.close_orders()
    shop.world.pay(out_trade_no, raced=True)
    assert (await shop.notify()).status_code == 204
    return no


async def _numbers(shop: Shop, no: str) -> dict[str, str]:
    rows = await shop.sql.fetch("SELECT out_refund_no, state FROM refund WHERE payable = $1 ORDER BY id", no)
    return {row["out_refund_no"]: row["state"] for row in rows}


async def test_money_that_must_not_stay_goes_back_under_a_new_number(shop: Shop) -> None:
    """WeChat closed the refund; that number is dead, and nobody needs to ask for the next one."""
    shop.world.tell("settings", refund_delay_s=3600)
    no = await _late_money(shop)
    await shop.run_jobs()
    (first,) = await _numbers(shop, no)
    shop.world.tell(f"refunds/{first}/state", status="CLOSED")
    assert (await shop.notify()).status_code == 204
    shop.world.tell("settings", refund_delay_s=1)
    assert list((await _numbers(shop, no)).values()) == ["closed", "requested"]
    assert await shop.broken() == {}
    shop.world.skip(seconds=70)  # parts go out a minute apart, and the closed one was sent a moment ago
    await shop.run_jobs()
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    assert list((await _numbers(shop, no)).values()) == ["closed", "succeeded"]
    case = (
        "SELECT r.state FROM payment_exception e JOIN refund r ON r.id = e.refund_id WHERE e.kind = 'paid_after_close'"
    )
    assert await shop.sql.fetchval(case) == "succeeded"


async def test_an_abnormal_refund_waits_for_a_person_and_may_still_succeed(shop: Shop) -> None:
    shop.world.tell("settings", refund_delay_s=3600)
    no = await _late_money(shop)
    await shop.run_jobs()
    (number,) = await _numbers(shop, no)
    shop.world.tell(f"refunds/{number}/state", status="ABNORMAL")
    assert (await shop.notify()).status_code == 204
    assert await shop.sql.fetchval("SELECT count(*) FROM payment_exception WHERE kind = 'refund_abnormal'") == 1
    shop.world.tell(f"refunds/{number}/state", status="SUCCESS")
    shop.world.tell("settings", refund_delay_s=1)
    assert (await shop.notify()).status_code == 204
    assert await _numbers(shop, no) == {number: "succeeded"}


async def test_a_refusal_that_may_pass_is_not_believed_at_once(shop: Shop) -> None:
    """WeChat had a part of it a moment ago, by another hand: INVALID_REQUEST, as for what will never be."""
    shop.world.tell("settings", refund_gap_s=60)
    try:
        buyer, operator = await shop.buyer("parts"), await shop.operator()
        (sku,) = await shop.stocked(5)
        no = await shop.paid_order(buyer, {sku: 2})
        paid = await shop.sql.fetchrow("SELECT out_trade_no, received_fen FROM payment WHERE payable = $1", no)
        by_hand = {"out_refund_no": "5030000000000001", "amount_fen": 1, "reason": "x"}
        await shop.worker.gateway.refund(out_trade_no=paid["out_trade_no"], total_fen=paid["received_fen"], **by_hand)
        assert (await operator.post(f"/orders/{no}/refunds", {"reason": "x", "amountFen": 5})).status_code == 201
        (ours,) = await _numbers(shop, no)
        for _ in range(2):
            assert await _try(shop, ours) == "INVALIDREQUEST"
        shop.world.skip(seconds=61)
        assert await _try(shop, ours) == ""
        assert (await _numbers(shop, no))[ours] in {"processing", "succeeded"}
    finally:
        shop.world.tell("settings", refund_gap_s=0)


async def _try(shop: Shop, out_refund_no: str) -> str:
    """Run the job; the code of the refusal that has it tried again."""
    try:
        await shop.worker.submit_refund(out_refund_no)
    except Refused as refused:
        return refused.code
    return ""
