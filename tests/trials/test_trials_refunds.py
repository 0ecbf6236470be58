"""Refunds that do not go smoothly: closed by WeChat, abnormal, refused for a moment, contradicted."""

import pytest
from cast import Shop

from payments.wechatpay.gateway import Refused

pytestmark = pytest.mark.usefixtures("quiet")


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


async def test_parts_that_come_too_soon_are_tried_again(shop: Shop) -> None:
    """A minute between parts: the refusal is INVALID_REQUEST, as for what will never be; it is not believed at once."""
    shop.world.tell("settings", refund_gap_s=60)
    try:
        no = await _late_money(shop)
        await shop.sql.execute("UPDATE refund SET amount_fen = amount_fen - 1 WHERE payable = $1", no)
        await shop.sql.execute("UPDATE payment SET refunded_fen = refunded_fen - 1 WHERE payable = $1", no)
        await shop.run_jobs()
        await shop.sql.execute(
            """INSERT INTO refund (out_refund_no, payment_id, payable, cause, amount_fen, reason, state, check_at,
            requested_by, requested_at) SELECT 'Rsecondpart0001', payment_id, payable, 'part:2', 1, 'x', 'requested',
            now(), 'test', now() FROM refund WHERE payable = $1""",
            no,
        )
        await shop.sql.execute("UPDATE payment SET refunded_fen = refunded_fen + 1 WHERE payable = $1", no)
        for _ in range(2):
            refused = await _try(shop, "Rsecondpart0001")
            assert refused == "INVALIDREQUEST"
        shop.world.skip(seconds=61)
        assert await _try(shop, "Rsecondpart0001") == ""
        assert (await _numbers(shop, no))["Rsecondpart0001"] in {"processing", "succeeded"}
        await shop.sql.execute(
            "UPDATE refund SET amount_fen = amount_fen + 1 WHERE payable = $1 AND cause <> 'part:2'", no
        )
        await shop.sql.execute("DELETE FROM refund WHERE cause = 'part:2'")
    finally:
        shop.world.tell("settings", refund_gap_s=0)


async def _try(shop: Shop, out_refund_no: str) -> str:
    """Run the job; the code of the refusal that has it tried again."""
    try:
        await shop.worker.submit_refund(out_refund_no)
    except Refused as refused:
        return refused.code
    return ""
