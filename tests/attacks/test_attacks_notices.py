"""What if WeChat Pay itself lied, or its key were stolen: notices that are rightly signed and wrong in every other way.

The application believes a key made here, so that anything can be signed.
"""

import dataclasses
import json
import os
from typing import Any

import httpx
import pytest
from cast import Shop
from liar import Liar, liar, unpaid_trade

from payments.wechatpay.keyring import CannotOpen, Keyring, Sealed
from shop.app import create_app

__all__ = ["liar"]
pytestmark = pytest.mark.trial("R32")
STRANGE: list[Any] = [
    *(None, 0, -1, 1.5, 2**63, 2**70, "", "\0", "a\0b", "\ud83d", "x" * 500, "../..", "' OR 1=1", "٣"),
    *([], {}, [[]], {"a": None}, True, "null", "9" * 400, "2018-06-08T10:34:56", "not a time", "0001-01-01T00:00:00Z"),
]
MATTERS = ("out_trade_no", "trade_state", "amount", "mchid", "appid")


async def _trade(shop: Shop, liar: Liar) -> tuple[str, dict[str, Any]]:
    return await unpaid_trade(shop, liar, bank_type="OTHERS", payer={"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"})


async def _state(shop: Shop, no: str) -> str:
    return str(await shop.sql.fetchval("SELECT state FROM orders WHERE no = $1", no))


async def test_what_matters_and_is_strange_pays_nothing(shop: Shop, liar: Liar) -> None:
    no, trade = await _trade(shop, liar)
    for field in MATTERS:
        for value in STRANGE:
            if (field, value) in (("mchid", None), ("appid", None)):
                continue  # null is absent, and absence is no contradiction
            answer = await liar.send(liar.envelope({**trade, field: value}))
            assert answer.status_code in {204, 400}, (field, value, answer.text)
            assert await _state(shop, no) == "unpaid", (field, value)
    for value in STRANGE:
        for part in ("total", "currency"):
            if part == "currency" and value in (None, ""):
                continue  # not said: CNY
            answer = await liar.send(liar.envelope({**trade, "amount": {**trade["amount"], part: value}}))
            assert answer.status_code in {204, 400}, (part, value, answer.text)
            assert await _state(shop, no) == "unpaid", (part, value)


async def test_what_does_not_matter_is_never_an_error(shop: Shop, liar: Liar) -> None:
    _, trade = await _trade(shop, liar)
    for field in ("transaction_id", "success_time", "payer", "bank_type", "trade_type", "attach", "promotion_detail"):
        for value in STRANGE:
            answer = await liar.send(liar.envelope({**trade, field: value}))
            assert answer.status_code in {204, 400}, (field, value, answer.text)
    assert (await liar.send(liar.envelope(trade))).status_code == 204


async def test_envelopes_that_are_none(shop: Shop, liar: Liar) -> None:
    no, trade = await _trade(shop, liar)
    good = liar.envelope({**trade, "trade_state": "NOTPAY"})
    for field in ("id", "event_type", "resource_type", "resource"):
        for value in STRANGE:
            answer = await liar.send({**good, field: value})
            assert answer.status_code in {204, 400}, (field, value, answer.text)
    for field in ("algorithm", "ciphertext", "nonce", "original_type", "associated_data"):
        for value in STRANGE:
            answer = await liar.send(
                {**good, "id": os.urandom(8).hex(), "resource": {**good["resource"], field: value}}
            )
            assert answer.status_code in {204, 400, 500}, (field, value, answer.text)
            if answer.status_code == 500:  # it does not open: the key is wrong, and WeChat shall repeat
                assert field in ("ciphertext", "nonce", "associated_data"), (field, value)
    for raw in (
        b"",
        b"[]",
        b"null",
        b"1",
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"id":' * 9_000,
        json.dumps(good).encode("utf-16"),
    ):
        answer = await liar.send(raw)
        assert answer.status_code == 400, (raw[:20], answer.text)
    assert (await liar.send(b"[" + b" " * 70_000 + b"]")).status_code == 413
    for inside in (b"", b"[]", b"null", b"\xff", b"[" * 30_000, b'"x"'):
        assert (await liar.send(liar.envelope(inside))).status_code in {204, 400}
    assert await _state(shop, no) == "unpaid"


async def test_other_news_under_a_false_name(shop: Shop, liar: Liar) -> None:
    no, trade = await _trade(shop, liar)
    for event in ("REFUND.SUCCESS", "TRANSACTION.FAIL", "PAYSCORE.USER_PAID", "transaction.success", "X" * 64):
        assert (await liar.send(liar.envelope(trade, event))).status_code == 204
    crossed = {**liar.envelope(trade), "event_type": "REFUND.SUCCESS"}
    assert (await liar.send(crossed)).status_code == 204
    refund = {
        "mchid": trade["mchid"],
        "out_trade_no": trade["out_trade_no"],
        "transaction_id": trade["transaction_id"],
        "out_refund_no": "R" + "0" * 20,
        "refund_id": "5030",
        "refund_status": "SUCCESS",
        "amount": {"total": 1, "refund": 10**12, "payer_total": 1, "payer_refund": 1},
    }
    for field in ("out_refund_no", "refund_status", "amount", "refund_id", "success_time", "mchid", "transaction_id"):
        for value in STRANGE:
            answer = await liar.send(liar.envelope({**refund, field: value}, "REFUND.SUCCESS"))
            assert answer.status_code in {204, 400}, (field, value, answer.text)
    assert await _state(shop, no) == "unpaid"
    assert await shop.sql.fetchval("SELECT count(*) FROM refund") == 0


async def test_five_minutes_either_way(shop: Shop, liar: Liar) -> None:
    no, trade = await _trade(shop, liar)
    body = liar.envelope(trade)
    for off_s in (-400 * 86_400, -86_400, -302, 302, 86_400):
        assert (await liar.send(body, off_s=off_s)).status_code == 401
    for header in ("wechatpay-nonce", "wechatpay-signature", "wechatpay-serial", "wechatpay-timestamp"):
        for value in ("", " ", "0", "٣٤٥".encode().decode("latin-1"), "=" * 4, "A" * 100_000, "-1", "1e9"):
            assert (await liar.send(body, **{header: value})).status_code == 401, (header, value[:9])
    assert (await liar.send(body, authorization="Bearer x")).status_code == 204, "a token is nothing to this door"
    assert await _state(shop, no) == "paid"
    assert (await liar.send(body, off_s=290)).status_code == 204
    assert await shop.sql.fetchval("SELECT count(*) FROM payment WHERE applied") == 1


async def test_the_key_before_this_one_opens_what_is_on_its_way(shop: Shop, liar: Liar) -> None:
    """The APIv3 key was exchanged while a notification was under way; a third key opens nothing."""
    pay = liar.settings.pay
    keys = {"public_key": pay.public_key, "public_key_id": pay.public_key_id}
    body = liar.envelope({"a": 1})
    sealed = Sealed(**body["resource"])
    for new, before in ((pay.apiv3_key, None), ("n" * 32, pay.apiv3_key), (pay.apiv3_key, "b" * 32)):
        assert Keyring(new, apiv3_key_before=before, **keys).open(sealed) == b'{"a": 1}'
    for new, before in (("n" * 32, None), ("n" * 32, "b" * 32)):
        with pytest.raises(CannotOpen):
            Keyring(new, apiv3_key_before=before, **keys).open(sealed)
    no, trade = await _trade(shop, liar)
    exchanged = dataclasses.replace(pay, apiv3_key="n" * 32, apiv3_key_before=pay.apiv3_key)
    app = create_app(dataclasses.replace(liar.settings, pay=exchanged), clock=shop.world.clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        assert (await Liar(http, liar.settings, liar.key).send(liar.envelope(trade))).status_code == 204
    assert await _state(shop, no) == "paid"
