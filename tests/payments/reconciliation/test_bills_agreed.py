"""Days of trade in the simulated world, and the morning after: the bills come, and all agrees with no hand laid on."""

import pytest
from cast import Shop
from mornings import account, balance, bills_of, figure, morning_after, open_cases, refunded, state_of


@pytest.mark.parametrize(("rows", "decimals"), [("netted", "fen"), ("separate", "exact")])
async def test_a_day_of_trade_agrees_by_itself(shop_of_its_own: Shop, rows: str, decimals: str) -> None:
    """Payments and a refund; fees and the net settlement are booked, and our account is WeChat's to the fen.

    Whether fees are taken off at once or stand in rows of their own, billed in whole fen or with all their digits.
    """
    shop = shop_of_its_own
    shop.world.tell("settings", fee_rows=rows, fee_decimals=decimals, fee_rate=38)
    (sku,) = await shop.stocked(50, price_fen=4200)
    buyer = await shop.buyer("茶客")
    numbers = [await shop.paid_order(buyer, {sku: n}) for n in (1, 2, 3)]
    await refunded(shop, numbers[1])
    day = await morning_after(shop)
    assert await bills_of(shop, day) == {"trade": "verified", "fund_flow": "verified"}
    assert await state_of(shop, day) == "agreed"
    received = await shop.sql.fetchval("SELECT sum(received_fen)::bigint FROM payment")
    assert await figure(shop, day, "bill", "paymentsFen") == received
    assert await figure(shop, day, "bill", "refundsFen") == 4200
    assert await figure(shop, day, "repaired") == 1  # nobody told us that the refund was done
    assert await balance(shop, "wechat") == account(shop) == await figure(shop, day, "flow", "netFen")
    assert await balance(shop, "fees") == await figure(shop, day, "booked", "feesFen") > 0
    assert await open_cases(shop) == []


async def test_payments_that_we_never_heard_of_are_found_in_the_bill(shop_of_its_own: Shop) -> None:
    """Every notification was lost, and nobody asked: the bill knows, WeChat confirms, and the order is paid."""
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    buyer = await shop.buyer("茶客")
    numbers = [await buyer.order({sku: 1}) for _ in range(5)]
    for no in numbers:
        shop.world.pay(await buyer.prepay(no))
    day = await morning_after(shop)
    assert await state_of(shop, day) == "agreed"
    assert await figure(shop, day, "repaired") == 5
    assert [await buyer.state(no) for no in numbers] == ["paid"] * 5
    assert await balance(shop, "wechat") == account(shop)
    assert await open_cases(shop) == []


async def test_money_to_the_bank_and_back_is_booked(shop_of_its_own: Shop) -> None:
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50, price_fen=50_000)
    await shop.paid_order(await shop.buyer("茶客"), {sku: 2})
    shop.world.tell("merchant/withdraw", fen=30_000)
    shop.world.tell("merchant/top-up", fen=1_000)
    day = await morning_after(shop)
    assert await state_of(shop, day) == "agreed"
    assert await balance(shop, "bank") == 29_000
    assert await balance(shop, "wechat") == account(shop)


async def test_a_payment_by_code_that_was_reversed_came_and_went(shop_of_its_own: Shop) -> None:
    """It stands in the bill twice, paid and revoked; here it never counted, and that is no difference."""
    shop = shop_of_its_own
    shop.world.tell("settings", code_payment="password")
    (sku,) = await shop.stocked(50)
    no = await (await shop.buyer("茶客")).order({sku: 1})
    operator = await shop.operator()
    code = shop.world.code("bob", "payment")
    assert (await operator.post(f"/orders/{no}/charge-code", {"authCode": code})).json()["state"] == "userpaying"
    number = await shop.sql.fetchval("SELECT out_trade_no FROM payment")
    shop.world.skip(seconds=46)
    shop.world.faults(path=f"/v3/pay/transactions/out-trade-no/{number}/reverse", effect="500", method="POST")
    await shop.worker.ask_payments()
    shop.world.pay(number)
    for _ in range(8):
        shop.world.skip(seconds=35)
        await shop.worker.ask_payments()
    day = await morning_after(shop)
    assert await figure(shop, day, "bill", "refunds") == 1
    assert await state_of(shop, day) == "agreed"
    assert await balance(shop, "wechat") == account(shop) == 0


async def test_a_transfer_to_a_user_is_in_the_fund_flow(shop_of_its_own: Shop) -> None:
    shop = shop_of_its_own
    buyer = await shop.buyer("茶客")
    (sku,) = await shop.stocked(50)
    await shop.paid_order(buyer, {sku: 1})
    operator = await shop.operator()
    member = (await buyer.get("/me")).json()["id"]
    report = {"活动名称": "新会员有礼", "奖励说明": "注册奖励"}
    wish = {"cause": "welcome:1", "amountFen": 500, "remark": "注册奖励", "sceneId": "1000", "report": report}
    answer = await operator.post(f"/members/{member}/transfers", wish)
    assert answer.status_code == 201, answer.text
    await shop.run_jobs()
    shop.world.tell(f"transfers/{answer.json()['outBillNo']}/confirm")
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    day = await morning_after(shop)
    assert await state_of(shop, day) == "agreed"
    assert await balance(shop, "payouts") == 500
    assert await balance(shop, "wechat") == account(shop)


async def test_coupons_of_the_shops_own_are_an_expense(shop_of_its_own: Shop) -> None:
    """A coupon that was not prefunded (免充值) takes off the settlement; one that was, does not."""
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    buyer = await shop.buyer("茶客")
    for kind in ("NOCASH", "CASH"):
        no = await buyer.order({sku: 2})
        shop.world.pay(await buyer.prepay(no), coupon_fen=300, coupon_kind=kind)
        assert (await shop.notify()).status_code == 204
    day = await morning_after(shop)
    assert await state_of(shop, day) == "agreed"
    assert await balance(shop, "wechat_coupons") == 300
    assert await balance(shop, "wechat") == account(shop)
