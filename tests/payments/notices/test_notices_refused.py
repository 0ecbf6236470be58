"""Notices that are not WeChat's, or not readable: 4xx, no row, no call, hardly any work."""

import gzip
import json
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cast import Shop
from cryptography.hazmat.primitives.asymmetric import rsa
from liar import SERIAL, Liar
from world import Letter

from payments.wechatpay import notification
from payments.wechatpay.keyring import Keyring
from payments.wechatpay.notification import NotGenuine


async def _rows(shop: Shop) -> int:
    return int(
        await shop.sql.fetchval("SELECT (SELECT count(*) FROM notice) + (SELECT count(*) FROM payment_exception)")
    )


async def _letter(shop: Shop, **pieces: Any) -> tuple[Letter, str]:
    """WeChat's own notification of a payment, not delivered yet, and the order's no."""
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    shop.world.pay(await buyer.prepay(no))
    return shop.mailbox.take(), no


class Counting:
    """A key that counts how often it is asked to verify."""

    def __init__(self) -> None:
        self.asked = 0

    def verify(self, *_: object) -> None:
        self.asked += 1
        raise AssertionError("no key of this serial was named")


class KnownSerial(Keyring):
    """One that knows one serial, with a key that counts."""

    def __init__(self) -> None:
        super().__init__("0" * 32)
        self.key = Counting()
        self._fixed = {SERIAL: self.key}  # type: ignore[dict-item]


async def test_an_unknown_serial_is_refused_before_any_work() -> None:
    keyring, now = KnownSerial(), time.time()
    headers = {
        "wechatpay-timestamp": str(int(now)),
        "wechatpay-nonce": "n" * 32,
        "wechatpay-signature": "A" * 344,
        "wechatpay-signature-type": "WECHATPAY2-SHA256-RSA2048",
    }
    strange = [
        "",
        "0",
        SERIAL.lower(),
        SERIAL + "0",
        SERIAL[:-1],
        f"{SERIAL},{SERIAL}",
        "7976_B733",
        "F" * 40,
        f" {SERIAL}",
    ]
    for serial in strange:
        with pytest.raises(NotGenuine):
            notification.verify({**headers, "wechatpay-serial": serial}, b"{}", keyring, now)
    for stale in (-301, 302, 10**9):
        old = {**headers, "wechatpay-serial": SERIAL, "wechatpay-timestamp": str(int(now) + stale)}
        with pytest.raises(NotGenuine):
            notification.verify(old, b"{}", keyring, now)
    assert keyring.key.asked == 0


async def test_a_thousand_forged_notices_cost_no_row_no_call_and_little_time(shop_of_an_older_merchant: Shop) -> None:
    """Also where certificates are used: an unknown serial never has them fetched again, nor lost."""
    shop = shop_of_an_older_merchant
    gateway = shop.worker.gateway
    await shop.certified()
    calls: list[str] = []

    async def count(request: httpx.Request) -> None:
        calls.append(str(request.url))

    _client_of(gateway).event_hooks["request"].append(count)
    letter, no = await _letter(shop)
    calls.clear()
    before, began = await _rows(shop), time.process_time()
    for number in range(1000):
        serial = os.urandom(20).hex().upper() if number % 2 else letter.headers["Wechatpay-Serial"]
        answer = await shop.notify(letter, **{"wechatpay-serial": serial, "wechatpay-signature": "A" * 344})
        assert answer.status_code == 401, answer.text
    spent_ms = time.process_time() - began  # of a thousand, in s: of one, in ms
    assert await _rows(shop) == before
    assert calls == []
    assert spent_ms < 6, "a forged notice costs more than 6 ms of this processor, with the client's part"
    assert (await shop.notify(letter)).status_code == 204, "and the genuine one is believed as before"
    assert await shop.sql.fetchval("SELECT state FROM orders WHERE no = $1", no) == "paid"


def _client_of(gateway: Any) -> httpx.AsyncClient:
    """Every call of a gateway leaves through this client."""
    return gateway.connection._http if hasattr(gateway, "connection") else gateway._http  # type: ignore[no-any-return]


@pytest.mark.parametrize("variant", ["stale", "bad_signature", "probe", "unknown_serial"])
async def test_what_wechat_sends_to_try_us(shop: Shop, variant: str) -> None:
    """A signature probe is a wrong signature like any other; the repeat with a right one counts."""
    letter, no = await _letter(shop)
    notice_id = json.loads(letter.body)["id"]
    shop.world.tell(f"notifications/{notice_id}/deliver", variant=variant)
    answer = await shop.notify()
    assert answer.status_code == 401
    assert answer.json() == {"code": "FAIL", "message": "签名缺失、过期或错误"}
    assert await _rows(shop) == 0
    assert (await shop.notify(letter)).status_code == 204
    assert await shop.sql.fetchval("SELECT state FROM orders WHERE no = $1", no) == "paid"


async def test_the_raw_bytes_count(shop: Shop) -> None:
    letter, _ = await _letter(shop)
    same = json.dumps(json.loads(letter.body)).encode()
    for body in (letter.body + b" ", b" " + letter.body, letter.body + b"\r\n", same, b"\xef\xbb\xbf" + letter.body):
        assert body != letter.body
        assert (await shop.notify(Letter(letter.headers, body))).status_code == 401
    assert await _rows(shop) == 0


async def test_a_header_that_comes_twice_fits_no_rule(shop: Shop) -> None:
    letter, _ = await _letter(shop)
    pairs = [(name.lower(), value) for name, value in letter.headers.items()]
    kept = [(k, v) for k, v in pairs if k.startswith("wechatpay-") or k == "content-type"]
    for name in ("signature", "serial", "timestamp", "nonce", "signature-type"):
        twice = [*kept, next(pair for pair in kept if pair[0] == f"wechatpay-{name}")]
        answer = await shop.http.post("/wechat/pay/notify", content=letter.body, headers=twice)
        assert answer.status_code == 401, name
    assert await _rows(shop) == 0


async def test_an_endless_body_is_not_read_to_its_end(liar: Liar) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 8192
            yield b"x" * 8192

    headers = {"content-type": "application/json", "wechatpay-serial": SERIAL}
    answer = await liar.http.post("/wechat/pay/notify", content=endless(), headers=headers)
    assert answer.status_code == 413
    assert sent <= 64 * 1024 + 2 * 8192
    announced = {**headers, "content-length": str(10**9)}
    answer = await liar.http.post("/wechat/pay/notify", content=b"{}", headers=announced)
    assert (answer.status_code, answer.json()) == (413, {"code": "FAIL", "message": "请求体过大"})


async def test_another_content_is_refused(shop: Shop, liar: Liar) -> None:
    """WeChat Pay v2 speaks XML (refunds made by hand in the portal may come so); packed bodies are nothing we asked for."""
    xml = b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><xml><req_info>&a;</req_info></xml>"
    for kind in ("text/xml", "application/xml", "text/plain", "", "application/x-www-form-urlencoded"):
        answer = await liar.send(xml, **{"content-type": kind})
        assert (answer.status_code, answer.json()["code"]) == (415, "FAIL")
    assert (await liar.send(xml)).status_code == 400
    unsigned = {"content-type": "application/json"}
    answer = await liar.http.post("/wechat/pay/notify", content=xml, headers=unsigned)
    assert answer.status_code == 401
    assert "Traceback" not in answer.text
    packed = gzip.compress(json.dumps(liar.envelope({})).encode())
    assert (await liar.send(packed, **{"content-encoding": "gzip"})).status_code == 415
    assert (await liar.send(packed)).status_code == 400
    assert await _rows(shop) == 0


async def test_an_id_that_is_none_or_huge(shop: Shop, liar: Liar) -> None:
    for notice_id in ("", "x" * 65, "x" * 50_000, None, 7, "a b", "a\n", "汉", "a\0"):
        body = liar.envelope({}, id=notice_id)
        if notice_id is None:
            del body["id"]
        assert (await liar.send(body)).status_code == 400, notice_id
    assert await _rows(shop) == 0


async def test_a_key_of_the_wrong_kind_is_no_key() -> None:
    """A fresh notice signed by somebody else under WeChat's serial."""
    mallory = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    public = mallory.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    keyring = Keyring("0" * 32, public_key=public, public_key_id=SERIAL)
    now = time.time()
    headers = {
        "wechatpay-serial": SERIAL,
        "wechatpay-timestamp": str(int(now)),
        "wechatpay-nonce": "n",
        "wechatpay-signature-type": "WECHATPAY2-SHA256-RSA2048",
    }
    for signature in ("", "A", "AAAA", "=" * 8, "A" * 342 + "==", "A" * 2000, "ÿ" * 10):
        with pytest.raises(NotGenuine):
            notification.verify({**headers, "wechatpay-signature": signature}, b"{}", keyring, now)
