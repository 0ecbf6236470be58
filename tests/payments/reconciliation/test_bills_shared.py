"""A day on which a payment was shared: what the merchants got, and what one of them gave back, is in the fund flow."""

from cast import Operator, Shop
from mornings import account, balance, figure, morning_after, open_cases, state_of

MERCHANTS = ("1600000001", "1600000002")
RULES = {"dailyCapFen": 200_000, "shareOrders": True, "shareAtMostBp": 3000}


async def _receiver(shop: Shop, operator: Operator, merchant: str) -> str:
    shop.world.tell("sharing/accounts", account=merchant)
    wish = {"kind": "MERCHANT_ID", "account": merchant, "relation": "SUPPLIER", "name": "茶农合作社"}
    answer = await operator.post("/share-receivers", wish)
    assert answer.status_code == 201, answer.text
    await shop.run_jobs()
    return str(answer.json()["id"])


async def _go_on(shop: Shop) -> None:
    await shop.run_jobs()
    shop.world.skip(seconds=40)
    await shop.worker.pursue_payouts()
    await shop.run_jobs()


async def test_a_share_and_what_came_back_of_it_are_in_the_fund_flow(shop_of_its_own: Shop) -> None:
    shop = shop_of_its_own
    operator, buyer = await shop.operator(), await shop.buyer("茶客")
    path, headers = "/admin/v1/payout-policy", operator.headers
    assert (await shop.http.put(path, headers=headers, json=RULES)).status_code == 200
    (sku,) = await shop.stocked(9, price_fen=5000)
    await shop.paid_order(buyer, {sku: 2})
    number = await shop.sql.fetchval("SELECT out_trade_no FROM payment")
    receivers = [await _receiver(shop, operator, merchant) for merchant in MERCHANTS]
    shop.world.skip(minutes=2)
    parts = [{"receiverId": whom, "amountFen": 700 + n, "description": "货款"} for n, whom in enumerate(receivers)]
    wish = {"cause": "commission", "unfreeze": False, "description": "分账", "parts": parts}
    answer = await operator.post(f"/payments/{number}/shares", wish)
    assert answer.status_code == 201, answer.text
    await _go_on(shop)
    back = {"amountFen": 200, "description": "多分了"}
    path = f"/shares/{answer.json()['outOrderNo']}/parts/1/returns"
    assert (await operator.post(path, back)).status_code == 201
    await _go_on(shop)
    day = await morning_after(shop)
    assert await open_cases(shop) == []
    assert await state_of(shop, day) == "agreed"
    assert await balance(shop, "shared") == 700 + 701 - 200
    assert await balance(shop, "wechat") == account(shop) == await figure(shop, day, "flow", "bookedFen")
