"""Each channel is paid end to end; one attempt lives at a time, and what replaces it comes after its end."""

import asyncio
from base64 import b64decode
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cast import Shop
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sheets import at_wechat, attempts, live, open_payment, opened, ordered

CHANNELS = ["jsapi", "app", "h5", "native"]


def _signed(shop: Shop, signature: str, *lines: str) -> None:
    key: Any = load_pem_private_key(Path(shop.world.env["WECHAT_PAY_PRIVATE_KEY"]).read_bytes(), None)
    text = "".join(f"{line}\n" for line in lines).encode()
    key.public_key().verify(b64decode(signature), text, PKCS1v15(), SHA256())


@pytest.mark.parametrize("channel", CHANNELS)
async def test_paid_end_to_end(shop: Shop, channel: str) -> None:
    buyer, no = await ordered(shop, 2)
    sheet = await opened(buyer, no, channel)
    appid = shop.world.env["WECHAT_APP_ID"]
    filled = {name for name in ("jsapi", "app", "h5Url", "codeUrl") if sheet[name] is not None}
    assert filled == {{"h5": "h5Url", "native": "codeUrl"}.get(channel, channel)}
    if channel == "jsapi":
        params = sheet["jsapi"]
        assert params["appId"] == appid
        _signed(shop, params["paySign"], appid, params["timeStamp"], params["nonceStr"], params["package"])
    elif channel == "app":
        params = sheet["app"]
        assert (params["appId"], params["packageValue"]) == (appid, "Sign=WXPay")
        _signed(shop, params["sign"], appid, params["timeStamp"], params["nonceStr"], params["prepayId"])
    number = await live(shop, no)
    shop.world.pay(number)
    assert (await shop.notify()).status_code == 204
    assert await buyer.state(no) == "paid"
    assert await attempts(shop, no) == [(channel, "received")]
    assert (await open_payment(buyer, no, channel)).json()["code"] == "order_move_refused"


async def test_the_code_is_drawn_for_its_owner_only(shop: Shop) -> None:
    buyer, no = await ordered(shop)
    assert (await buyer.get(f"/orders/{no}/pay-qr.svg")).json()["code"] == "no_code"
    await opened(buyer, no, "native")
    svg, png = await buyer.get(f"/orders/{no}/pay-qr.svg"), await buyer.get(f"/orders/{no}/pay-qr.png")
    assert (svg.status_code, svg.headers["content-type"], png.headers["content-type"]) == (
        200,
        "image/svg+xml",
        "image/png",
    )
    assert b"<svg" in svg.content
    assert png.content.startswith(b"\x89PNG")
    assert svg.headers["cache-control"] == "private, no-store"
    stranger = await shop.buyer("mallory")
    for form in ("svg", "png"):
        assert (await stranger.get(f"/orders/{no}/pay-qr.{form}")).status_code == 404
    assert (await open_payment(stranger, no, "native")).status_code == 404
    await opened(buyer, no, "jsapi")
    assert (await buyer.get(f"/orders/{no}/pay-qr.png")).status_code == 409


async def test_reused_while_unchanged_and_replaced_by_another_channel(shop: Shop) -> None:
    """The old one is closed at WeChat, which says so, before the new one is there."""
    buyer, no = await ordered(shop)
    seen = []
    for channel in ("native", "h5", "app", "jsapi", "native"):
        first, second = await opened(buyer, no, channel), await opened(buyer, no, channel)
        assert (first["h5Url"], first["codeUrl"]) == (second["h5Url"], second["codeUrl"])
        seen.append(await live(shop, no))
        assert [await at_wechat(shop, number) for number in seen[:-1]] == ["CLOSED"] * (len(seen) - 1)
        assert await at_wechat(shop, seen[-1]) == "NOTPAY"
    assert len(set(seen)) == 5


@pytest.mark.parametrize(("channel", "minutes"), [("h5", 4.5), ("native", 111), ("app", 111)])
async def test_a_token_that_is_used_up(shop: Shop, channel: str, minutes: float) -> None:
    buyer, no = await ordered(shop)
    await shop.sql.execute("UPDATE orders SET pay_by = pay_by + interval '1 day'")
    await opened(buyer, no, channel)
    old = await live(shop, no)
    shop.world.skip(minutes=minutes)
    await opened(buyer, no, channel)
    assert await at_wechat(shop, old) == "CLOSED"
    assert await at_wechat(shop, await live(shop, no)) == "NOTPAY"


@pytest.mark.parametrize(("seen", "kind"), [("198.51.100.9", "Wap"), ("192.0.2.1", "iOS")])
async def test_a_browser_on_another_network_or_machine(shop: Shop, seen: str, kind: str) -> None:
    """WeChat compares where its page is opened from with what it was told: a sheet from another network is good for nothing."""
    buyer, no = await ordered(shop)
    await opened(buyer, no, "h5", h5Type="Wap")
    old = await live(shop, no)
    await shop.sql.execute("UPDATE payment SET client_ip = $2 WHERE payable = $1", no, seen)
    await opened(buyer, no, "h5", h5Type=kind)
    assert await live(shop, no) != old
    assert await at_wechat(shop, old) == "CLOSED"
    row = await shop.sql.fetchrow("SELECT client_ip, h5_type FROM payment WHERE payable = $1 ORDER BY id DESC", no)
    assert tuple(row) == ("192.0.2.1", kind)


async def test_another_of_the_members_apps(shop: Shop) -> None:
    """The payer is named by the identity that asks: another one of the same member replaces the attempt."""
    buyer, no = await ordered(shop)
    await opened(buyer, no, "jsapi")
    old = await live(shop, no)
    user = shop.world.tell("codes", kind="login", user="second-wechat-user")
    other = await shop.http.post("/api/v1/sign-in", json={"code": user["code"]})
    ours = await shop.sql.fetchval("SELECT member_id FROM orders WHERE no = $1", no)
    for table, identity in (("member_session", "identity_id"), ("identity", "id")):
        last = f"(SELECT max({identity}) FROM {table})"
        await shop.sql.execute(f"UPDATE {table} SET member_id = $1 WHERE {identity} = {last}", ours)
    buyer.headers = {"authorization": f"Bearer {other.json()['accessToken']}"}
    await opened(buyer, no, "jsapi")
    assert await at_wechat(shop, old) == "CLOSED"
    openids = await shop.sql.fetch("SELECT DISTINCT openid FROM payment WHERE payable = $1", no)
    assert len(openids) == 2


async def test_paid_while_it_is_replaced(shop: Shop) -> None:
    """The money wins: no second attempt is opened."""
    buyer, no = await ordered(shop)
    await opened(buyer, no, "native")
    shop.world.pay(await live(shop, no))
    answer = await open_payment(buyer, no, "jsapi")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_payable")
    assert await buyer.state(no) == "paid"
    assert (await shop.notify()).status_code == 204
    assert await attempts(shop, no) == [("native", "received")]


async def test_the_money_lands_after_the_close(shop: Shop) -> None:
    """Confirmed before the close, landing after it: the old attempt pays the order, and the new one is closed."""
    buyer, no = await ordered(shop)
    await opened(buyer, no, "native")
    old = await live(shop, no)
    await opened(buyer, no, "app")
    new = await live(shop, no)
    shop.world.pay(old, raced=True)
    assert (await shop.notify()).status_code == 204
    assert await buyer.state(no) == "paid"
    await shop.run_jobs()
    assert await at_wechat(shop, new) == "CLOSED"
    assert await attempts(shop, no) == [("native", "received"), ("app", "closed")]


async def test_both_are_paid(shop: Shop) -> None:
    buyer, no = await ordered(shop)
    await opened(buyer, no, "native")
    old = await live(shop, no)
    await opened(buyer, no, "app")
    new = await live(shop, no)
    shop.world.pay(old, raced=True)
    shop.world.pay(new)
    for _ in range(2):
        assert (await shop.notify()).status_code == 204
    await shop.run_jobs()
    assert await shop.sql.fetchval("SELECT count(*) FROM payment WHERE applied") == 1
    assert await shop.sql.fetchval("SELECT count(*) FROM refund WHERE cause LIKE 'second_payment:%'") == 1


async def test_twenty_at_once_on_every_channel(shop: Shop) -> None:
    """Whatever they want, one attempt lives in the end, and WeChat holds no other one open."""
    buyer, no = await ordered(shop)
    answers = await asyncio.gather(*(open_payment(buyer, no, CHANNELS[turn % 4]) for turn in range(20)))
    assert {answer.status_code for answer in answers} <= {200, 409, 503}
    assert Counter(answer.status_code for answer in answers)[200] >= 1
    await shop.run_jobs()
    rows = await shop.sql.fetch("SELECT out_trade_no, state FROM payment WHERE payable = $1", no)
    assert sum(row["state"] in ("opening", "open") for row in rows) <= 1
    for row in rows:
        if row["state"] == "closed":
            assert await at_wechat(shop, row["out_trade_no"]) in {"CLOSED", "NOT_THERE"}


@pytest.mark.parametrize("channel", ["native", "h5"])
@pytest.mark.parametrize("effect", ["500", "500_after", "bad_response_signature"])
async def test_the_wire_dies_between_intent_and_answer(shop: Shop, channel: str, effect: str) -> None:
    """Asked again, the same number says the same bytes: it is met again, and not refused."""
    buyer, no = await ordered(shop)
    shop.world.faults(path=f"/v3/pay/transactions/{channel}", effect=effect)
    answer = await open_payment(buyer, no, channel)
    assert (answer.status_code, answer.json()["code"]) == (503, "we_chat_pay_unknown")
    number = await live(shop, no)
    await opened(buyer, no, channel)
    assert await live(shop, no) == number
    assert await at_wechat(shop, number) == "NOTPAY"


async def test_what_the_buyer_did_not_see_is_not_asked_for(shop: Shop) -> None:
    buyer, no = await ordered(shop, 2)
    seen = (await buyer.get(f"/orders/{no}")).json()["totalFen"]
    answer = await open_payment(buyer, no, "jsapi", expectedFen=seen - 1)
    assert (answer.status_code, answer.json()["code"]) == (409, "total_changed")
    assert await attempts(shop, no) == []
    assert (await opened(buyer, no, "jsapi", expectedFen=seen))["amountFen"] == seen


async def test_no_time_left(shop: Shop) -> None:
    buyer, no = await ordered(shop)
    await shop.sql.execute("UPDATE orders SET pay_by = $1::timestamptz + interval '2 seconds'", shop.world.clock.now())
    assert (await open_payment(buyer, no, "native")).json()["code"] == "time_to_pay_over"


@pytest.mark.parametrize("paid", [True, False])
async def test_wechat_gives_a_minute_where_we_give_seconds(shop: Shop, paid: bool) -> None:
    """At `pay_by` we close, and ask: who paid in WeChat's longer time has paid; nobody else can."""
    buyer, no = await ordered(shop)
    pay_by = shop.world.clock.now() + timedelta(seconds=10)
    await shop.sql.execute("UPDATE orders SET pay_by = $1, close_at = $1", pay_by)
    await opened(buyer, no, "native")
    number = await live(shop, no)
    shop.world.skip(seconds=12)
    if paid:
        shop.world.pay(number)
        shop.mailbox.take()
    await shop.worker.close_orders()
    assert await at_wechat(shop, number) == ("SUCCESS" if paid else "CLOSED")
    assert await buyer.state(no) == ("paid" if paid else "cancelled")


async def test_where_the_browser_is(shop: Shop) -> None:
    """A proxy that is not ours is not believed; what WeChat is told stands in the row, for a repeat."""
    buyer, no = await ordered(shop)
    buyer.headers["x-forwarded-for"] = "198.51.100.1"
    await opened(buyer, no, "h5", h5Type="iOS")
    row = await shop.sql.fetchrow("SELECT client_ip, h5_type FROM payment WHERE payable = $1", no)
    assert tuple(row) == ("192.0.2.1", "iOS")


@pytest.mark.parametrize(
    "body",
    [
        {"channel": "code"},
        {"channel": "jsapi", "openid": "o123"},
        {"channel": "h5", "h5Type": "Windows"},
        {"channel": "jsapi", "expectedFen": "5"},
        {},
    ],
)
async def test_strange_wishes(shop: Shop, body: dict[str, Any]) -> None:
    buyer, no = await ordered(shop)
    assert (await buyer.post(f"/orders/{no}/payments", body)).status_code == 400
