"""Merchants who have fewer bills: a sub-merchant without its fund flow, and one overseas without any."""

import pytest
from cast import Shop
from mornings import account, balance, bills_of, figure, morning_after, open_cases, refunded, state_of, today

from payments.reconciliation import days, printing, report
from payments.reconciliation.wanting import DayOutOfReach

partner = pytest.mark.parametrize("shop_of_another_merchant", [("--partner",)], indirect=True)
overseas = pytest.mark.parametrize(
    "shop_of_another_merchant", [("--region", "global", "--currency", "HKD")], indirect=True
)


def _partners_account_is_still(shop: Shop) -> None:
    """What moves is the sub-merchant's; the simulated WeChat has one account and would show that."""
    refusal = {"effect": "refused", "status": 400, "code": "NO_STATEMENT_EXIST"}
    shop.world.faults(path="/v3/bill/fundflowbill", times=1000, **refusal)


@partner
async def test_a_day_of_a_sub_merchant_agrees_by_the_trade_bill(shop_of_another_merchant: Shop) -> None:
    """Payments, a refund and fees; and the report says what was not compared."""
    shop = shop_of_another_merchant
    _partners_account_is_still(shop)
    (sku,) = await shop.stocked(50, price_fen=4200)
    buyer = await shop.buyer("茶客")
    numbers = [await shop.paid_order(buyer, {sku: n}) for n in (1, 2)]
    await refunded(shop, numbers[1])
    day = await morning_after(shop)
    assert await bills_of(shop, day) == {"trade": "verified"}
    assert await state_of(shop, day) == "agreed"
    received = await shop.sql.fetchval("SELECT sum(received_fen)::bigint FROM payment")
    assert await figure(shop, day, "bill", "paymentsFen") == received
    assert await figure(shop, day, "bill", "refundsFen") == 4200
    assert await figure(shop, day, "flow", "rows") is None
    assert await balance(shop, "fees") == await figure(shop, day, "booked", "feesFen") > 0
    assert await balance(shop, "wechat") == account(shop)
    assert await open_cases(shop) == []
    async with shop.db.begin() as session:
        told = await report.get(session, day)
    assert "  not matched: the account" in printing.table(told)


@partner
async def test_what_differs_on_a_sub_merchants_day_is_found(shop_of_another_merchant: Shop) -> None:
    shop = shop_of_another_merchant
    _partners_account_is_still(shop)
    (sku,) = await shop.stocked(50)
    await shop.paid_order(await shop.buyer("茶客"), {sku: 1})
    shop.world.tell(f"bills/{today(shop)}/spoil", kind="trade", how="other_amount")
    day = await morning_after(shop)
    assert await state_of(shop, day) == "differs"
    assert [kind for kind, _ in await open_cases(shop)] == ["bill_amount_mismatch"]


@partner
async def test_a_fund_flow_that_was_once_wanted_in_vain_holds_up_no_day(shop_of_another_merchant: Shop) -> None:
    """Days from before the merchant became a partner's, or from before we knew better."""
    shop = shop_of_another_merchant
    _partners_account_is_still(shop)
    (sku,) = await shop.stocked(50)
    await shop.paid_order(await shop.buyer("茶客"), {sku: 1})
    day = await morning_after(shop)
    for state in ("failed", "wanted"):
        await shop.sql.execute("DELETE FROM bill WHERE kind = 'fund_flow'")
        old = "INSERT INTO bill (day, kind, state, check_at) VALUES ($1, 'fund_flow', $2, now() - interval '9 years')"
        await shop.sql.execute(old, day, state)
        await shop.sql.execute("UPDATE bill_day SET state = 'differs', check_at = now() - interval '9 years'")
        await shop.worker.reconcile()
        assert await state_of(shop, day) == "agreed"
        assert await bills_of(shop, day) == {"trade": "verified", "fund_flow": state}


@overseas
async def test_overseas_no_bill_is_wanted_and_whoever_asks_is_told_why(shop_of_another_merchant: Shop) -> None:
    """Nobody describes the statement, so no day is said to agree; and none fails."""
    shop = shop_of_another_merchant
    (sku,) = await shop.stocked(50)
    await shop.paid_order(await shop.buyer("茶客"), {sku: 1})
    day = await morning_after(shop)
    assert await shop.sql.fetchval("SELECT count(*) FROM bill_day") == 0
    assert await open_cases(shop) == []
    answer = await (await shop.operator()).post(f"/reconciliation/days/{day}/run")
    assert (answer.status_code, answer.json()["code"]) == (422, "day_out_of_reach")
    assert answer.json()["detail"].startswith("未核对：")
    with pytest.raises(DayOutOfReach) as refused:
        await days.reconcile(shop.db, shop.worker.gateway, shop.worker.payee, shop.world.clock, day)
    assert str(refused.value).startswith("not matched: ")
    assert await shop.sql.fetchval("SELECT count(*) FROM bill_day") == 0
