"""A partner (服务商) collects for a sub-merchant: one tap for several orders, in the partner's app and in the sub-merchant's."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cast import Buyer, Shop
from unheard import Unheard
from world import Mailbox, World

from kit.database import Database
from shop.app import ShopPayee, create_app, gateway_of
from shop.settings import Settings
from shop.worker import Worker


@pytest.fixture
async def partner(
    settings: Settings, db: Database, sql: Any, post_office: Mailbox, tmp_path: Path
) -> AsyncIterator[Shop]:
    """A shop whose merchant is a partner; its invariants hold afterwards."""
    world = World(tmp_path / "sandbox", "--partner")
    post_office.clear()
    connected = world.connected(settings, post_office.url, tmp_path)
    gateway = gateway_of(connected)
    app = create_app(connected, clock=world.clock, gateway=gateway, news=Unheard())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    try:
        async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            made = Shop(client, db, sql, Worker(db, gateway, ShopPayee(), world.clock), world, post_office)
            yield made
            assert not await made.broken()
    finally:
        world.stop()


async def _member_of_the_sub_merchants_app(shop: Shop) -> Buyer:
    """They came by the sub-merchant's Mini Program: another app, and another openid in it."""
    buyer = await shop.buyer("alice")
    (known,) = [user for user in shop.world.http.get("/_sandbox/users").json()["items"] if user["label"] == buyer.name]
    moved = "UPDATE identity SET appid = $1, openid = $2 WHERE openid = $3"
    sub_appid = shop.world.env["WECHAT_PAY_SUB_APP_ID"]
    await shop.sql.execute(moved, sub_appid, known["sub_openid"], known["openid"])
    await asyncio.sleep(1.1)  # sessions are kept in the process for a second
    return buyer


@pytest.mark.parametrize("told", ["notice", "question"])
@pytest.mark.parametrize("where", ["own", "sub"])
async def test_one_tap_pays_every_part(partner: Shop, where: str, told: str) -> None:
    shop = partner
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


async def test_a_sheet_in_the_sub_merchants_app_is_closed(partner: Shop) -> None:
    shop = partner
    buyer = await _member_of_the_sub_merchants_app(shop)
    (sku,) = await shop.stocked(50)
    nos = [await buyer.order({sku: turn + 1}) for turn in range(2)]
    assert (await buyer.post("/combined-payments", {"orderNos": nos})).status_code == 200
    assert (await buyer.post(f"/orders/{nos[0]}/cancel", {})).status_code == 200
    assert [await buyer.state(no) for no in nos] == ["cancelled", "unpaid"]
