"""A member who is to get money, a payment that may be shared, and who promises either."""

import pytest
from cast import Shop
from frozen import MERCHANT, RULES, Stage
from paying_out import Scene, member_id


@pytest.fixture
async def scene(shop: Shop) -> Scene:
    buyer = await shop.buyer("alice")
    return shop, await shop.operator(), buyer, await member_id(shop, buyer)


@pytest.fixture
async def stage(shop: Shop) -> Stage:
    made = Stage(shop, await shop.operator(), await shop.buyer("alice"))
    path, headers = "/admin/v1/payout-policy", made.operator.headers
    assert (await shop.http.put(path, headers=headers, json=RULES)).status_code == 200
    (sku,) = await shop.stocked(9, price_fen=5000)
    made.no = await shop.paid_order(made.buyer, {sku: 2})
    made.out_trade_no = await shop.sql.fetchval("SELECT out_trade_no FROM payment WHERE payable = $1", made.no)
    made.line = (await made.buyer.get(f"/orders/{made.no}")).json()["lines"][0]["id"]
    shop.world.tell("sharing/accounts", account=MERCHANT)
    made.receiver = await made.receiver_of(MERCHANT)
    shop.world.skip(minutes=2)
    return made
