"""A merchant overseas: another currency, and another word of WeChat's for a refund that came to nothing."""

import pytest
from cast import Shop
from till_and_staff import ask, bought, heard, held_money, late_money

pytestmark = pytest.mark.parametrize(
    "shop_of_another_merchant", [("--region", "global", "--currency", "HKD")], indirect=True
)


async def test_all_that_moves_is_booked_in_the_merchants_currency(shop_of_another_merchant: Shop) -> None:
    """Plain money and its refund, late money, and money that was held and is applied."""
    shop = shop_of_another_merchant
    operator, order = await shop.operator(), await bought(shop)
    assert (await ask(operator, order.no, amountFen=500)).status_code == 201
    await heard(shop)
    await late_money(shop)
    _order, case = await held_money(shop, operator)
    assert (await operator.post(f"{case}/apply")).status_code == 200
    rows = await shop.sql.fetch("SELECT split_part(cause, ':', 1), currency FROM posting")
    assert {tuple(row) for row in rows} == {(what, "HKD") for what in ("received", "refund", "refunded", "applied")}


async def test_a_refund_that_wechat_closes_is_over(shop_of_another_merchant: Shop) -> None:
    """And late money, which must not stay, goes back under a new number."""
    shop = shop_of_another_merchant
    shop.world.tell("settings", refund_delay_s=3600)
    late = await late_money(shop)
    await shop.run_jobs()
    (first,) = await late.rows()
    assert first["state"] == "processing"
    shop.world.tell(f"refunds/{first['out_refund_no']}/state", status="CLOSED")
    assert (await shop.notify()).status_code == 204
    assert [row["state"] for row in await late.rows()] == ["closed", "requested"]
