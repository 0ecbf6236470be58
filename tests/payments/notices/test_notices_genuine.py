"""Only what WeChat signed is believed, byte for byte; what is genuine and cannot be handled now is kept."""

import json
from typing import Any

import pytest
from cast import Shop


@pytest.mark.parametrize(
    "changed",
    [
        {"wechatpay-signature": ""},
        {"wechatpay-timestamp": ""},
        {"wechatpay-nonce": ""},
        {"wechatpay-serial": ""},
        {"wechatpay-signature-type": ""},
        {"wechatpay-signature": "WECHATPAY/SIGNTEST/aGVsbG8="},
        {"wechatpay-signature": "not base64!"},
        {"wechatpay-signature": "A" * 5000},
        {"wechatpay-serial": "7C2A1E3D5B9FA4868B6E21D3F507C9BAE4D6F812"},
        {"wechatpay-serial": "PUB_KEY_ID_0119999999999999999"},
        {"wechatpay-timestamp": "1"},
        {"wechatpay-timestamp": "-5"},
        {"wechatpay-timestamp": "٣٤٥"},
        {"wechatpay-timestamp": "9" * 20},
        {"wechatpay-signature-type": "WECHATPAY2-SM2-WITH-SM3"},
    ],
)
async def test_what_is_not_genuine_leaves_no_trace(shop: Shop, changed: dict[str, str]) -> None:
    letter = await _letter(shop)
    before = _at_wechat(shop)
    answer = await shop.notify(letter, **changed)
    assert (answer.status_code, answer.json()["code"]) == (401, "FAIL")
    assert await shop.sql.fetchval("SELECT count(*) FROM notice") == 0
    assert _at_wechat(shop) == before


def _at_wechat(shop: Shop) -> int:
    return len(shop.world.http.get("/_sandbox/payments").json()["items"])


async def _letter(shop: Shop) -> Any:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    shop.world.pay(await buyer.prepay(await buyer.order({a: 1})))
    return shop.mailbox.take()


async def test_raw_bytes_are_what_is_signed(shop: Shop) -> None:
    letter = await _letter(shop)
    for body in (
        letter.body + b"\n",
        json.dumps(json.loads(letter.body)).encode() + b" ",
        letter.body.replace(b"S", b"s", 1),
    ):
        letter_changed = type(letter)(letter.headers, body)
        assert (await shop.notify(letter_changed)).status_code == 401
    assert (await shop.notify(letter)).status_code == 204


async def test_xml_is_not_even_looked_at(shop: Shop) -> None:
    answer = await shop.http.post("/wechat/pay/notify", content=b"<xml/>", headers={"content-type": "text/xml"})
    assert answer.status_code == 415
    assert (await shop.http.get("/wechat/pay/notify")).status_code == 405


async def test_a_wrong_apiv3_key_is_never_a_2xx(shop: Shop) -> None:
    letter = await _letter(shop)
    notice = shop.world.http.get("/_sandbox/notifications").json()["items"][0]["id"]
    shop.world.tell(f"notifications/{notice}/deliver", variant="wrong_key")
    assert (await shop.notify()).status_code == 500
    assert (
        await shop.sql.fetchval("SELECT count(*) FROM notice WHERE handled_at IS NULL") == 1
    )  # kept for the right key
    assert (await shop.notify(letter)).status_code == 204


async def test_a_notice_that_failed_is_retried_by_the_worker(shop: Shop) -> None:
    letter = await _letter(shop)
    await shop.sql.execute("ALTER TABLE order_event ADD CONSTRAINT broken CHECK (what <> 'paid') NOT VALID")
    assert (await shop.notify(letter)).status_code == 500
    await shop.sql.execute("ALTER TABLE order_event DROP CONSTRAINT broken")
    assert await shop.sql.fetchval("SELECT count(*) FROM notice WHERE handled_at IS NULL") == 1
    shop.world.skip(seconds=40)
    await shop.worker.retry_notices()
    assert await shop.sql.fetchval("SELECT outcome FROM notice") == "applied"
