"""A partner (服务商) collects for a sub-merchant: one tap for several orders, in the partner's app and in the sub-merchant's."""

import pytest
from cast import Buyer, Shop
from sheets import at_wechat, live, opened, ordered

from shop.members import sessions

pytestmark = pytest.mark.parametrize("shop_of_another_merchant", [("--partner",)], indirect=True)


async def _member_of_the_sub_merchants_app(shop: Shop) -> Buyer:
    """They came by the sub-merchant's Mini Program: another app, and another openid in it."""
    buyer = await shop.buyer("alice")
    await _come_by_it(shop, buyer)
    return buyer


async def _come_by_it(shop: Shop, buyer: Buyer) -> None:
    (known,) = [user for user in shop.world.http.get("/_sandbox/users").json()["items"] if user["label"] == buyer.name]
    moved = "UPDATE identity SET appid = $1, openid = $2 WHERE openid = $3 RETURNING id, member_id"
    sub_appid = shop.world.env["WECHAT_PAY_SUB_APP_ID"]
    who = await shop.sql.fetchrow(moved, sub_appid, known["sub_openid"], known["openid"])
    async with shop.db.begin() as session:  # another one: of the first, the process remembers the app for a second
        token = await sessions.open_one(
            session, member_id=who["member_id"], identity_id=who["id"], now=shop.world.clock.now()
        )
    buyer.headers["authorization"] = f"Bearer {token}"


@pytest.mark.parametrize("told", ["notice", "question"])
@pytest.mark.parametrize("where", ["own", "sub"])
async def test_one_tap_pays_every_part(shop_of_another_merchant: Shop, where: str, told: str) -> None:
    shop = shop_of_another_merchant
    buyer = await (shop.buyer("alice") if where == "own" else _member_of_the_sub_merchants_app(shop))
    (sku,) = await shop.stocked(50)
    nos = [await buyer.order({sku: turn + 1}) for turn in range(2)]
    sheet = await buyer.post("/combined-payments", {"orderNos": nos})
    assert sheet.status_code == 200, sheet.text
    rows = await shop.sql.fetch("SELECT combine_no, appid, sub_mchid FROM payment")
    app = "WECHAT_PAY_SUB_APP_ID" if where == "sub" else "WECHAT_APP_ID"
    assert {(row["appid"], row["sub_mchid"]) for row in rows} == {
        (shop.world.env[app], shop.world.env["WECHAT_PAY_SUB_MCH_ID"])
    }
    shop.world.pay(rows[0]["combine_no"])
    if told == "notice":
        assert (await shop.notify()).status_code == 204
    else:
        shop.mailbox.take()
        shop.world.skip(seconds=10)
        await shop.worker.ask_payments()
    assert [await buyer.state(no) for no in nos] == ["paid", "paid"]
    assert await shop.sql.fetchval("SELECT count(*) FROM payment_exception") == 0


async def test_a_sheet_in_the_sub_merchants_app_is_closed(shop_of_another_merchant: Shop) -> None:
    shop = shop_of_another_merchant
    buyer = await _member_of_the_sub_merchants_app(shop)
    (sku,) = await shop.stocked(50)
    nos = [await buyer.order({sku: turn + 1}) for turn in range(2)]
    assert (await buyer.post("/combined-payments", {"orderNos": nos})).status_code == 200
    assert (await buyer.post(f"/orders/{nos[0]}/cancel", {})).status_code == 200
    assert [await buyer.state(no) for no in nos] == ["cancelled", "unpaid"]


async def test_each_app_has_a_sheet_of_its_own(shop_of_another_merchant: Shop) -> None:
    """No openid tells them apart on this channel."""
    shop = shop_of_another_merchant
    buyer, no = await ordered(shop)
    first = await opened(buyer, no, "app")
    number = await live(shop, no)
    await _come_by_it(shop, buyer)
    second = await opened(buyer, no, "app")
    apps = [shop.world.env[name] for name in ("WECHAT_APP_ID", "WECHAT_PAY_SUB_APP_ID")]
    assert [sheet["app"]["appId"] for sheet in (first, second)] == apps
    assert await at_wechat(shop, number) == "CLOSED"
    assert await shop.sql.fetchval("SELECT appid FROM payment WHERE out_trade_no = $1", await live(shop, no)) == apps[1]
