"""R29: what is not WeChat's is refused whatever is wrong with it: no row, no call, no certificate lost."""

import base64
import json
import random
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from cast import Shop
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from trialing import Rounds
from world import Letter

pytestmark = pytest.mark.trial("R29", "R32")
OWN = ("wechatpay-timestamp", "wechatpay-nonce", "wechatpay-signature", "wechatpay-serial", "wechatpay-signature-type")
TIMES = ("0", "1e9", "-1", "-1767225600", "٣٤٥", "9" * 20, "", " ", "17672256O0", "1767225600.5", "+1767225600", "0x1")
MALLORY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

Headers = dict[str, str]
Forgery = Callable[[random.Random, Headers, bytes], tuple[Headers, bytes]]


def _but(headers: Headers, **changed: str) -> Headers:
    return headers | {name.replace("_", "-"): value for name, value in changed.items()}


def _no_headers(_: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    return {name: value for name, value in headers.items() if name not in OWN}, body


def _one_missing(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    missing = chance.choice(OWN)
    return {name: value for name, value in headers.items() if name != missing}, body


def _a_probe(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    tail = base64.b64encode(chance.randbytes(chance.randrange(1, 300))).decode()
    return _but(headers, wechatpay_signature=f"WECHATPAY/SIGNTEST/{tail}"), body


def _anothers_key(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    text = b"%s\n%s\n%s\n" % (headers["wechatpay-timestamp"].encode(), headers["wechatpay-nonce"].encode(), body)
    return _but(
        headers, wechatpay_signature=base64.b64encode(MALLORY.sign(text, padding.PKCS1v15(), SHA256())).decode()
    ), body


def _no_base64(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    texts = ("", " ", "=", "====", "A", "@@@", "ÿ" * 344, "A" * 343, "A" * chance.randrange(345, 100_000), "A" * 10**6)
    return _but(headers, wechatpay_signature=chance.choice(texts)), body


def _random_signature(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    return _but(headers, wechatpay_signature=base64.b64encode(chance.randbytes(256)).decode()), body


def _one_bit_of_the_signature(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    spoilt = bytearray(base64.b64decode(headers["wechatpay-signature"]))
    spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
    return _but(headers, wechatpay_signature=base64.b64encode(spoilt).decode()), body


def _unknown_serial(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    return _but(headers, wechatpay_serial=chance.randbytes(20).hex().upper()), body


def _no_serial(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    return _but(
        headers, wechatpay_serial=chance.choice(("", "zz", "7976_B733", "../..", "' OR 1=1", "ÿ", "A" * 50_000))
    ), body


def _anothers_key_id(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    return _but(headers, wechatpay_serial=f"PUB_KEY_ID_0{chance.randrange(10**27):027d}"), body


def _no_time(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    return _but(headers, wechatpay_timestamp=chance.choice(TIMES)), body


def _another_time(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    off_s = chance.choice((-400 * 86_400, -86_400, -301, -1, 1, 301, 86_400))
    return _but(headers, wechatpay_timestamp=str(int(headers["wechatpay-timestamp"]) + off_s)), body


def _another_nonce(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    return _but(
        headers, wechatpay_nonce=chance.choice(("", "x", chance.randbytes(16).hex(), "a\x01b", "n" * 20_000))
    ), body


def _another_type(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    kinds = (
        "",
        "NONE",
        "WECHATPAY2-SM2-WITH-SM3",
        "wechatpay2-sha256-rsa2048",
        "WECHATPAY2-SHA256-RSA2048x",
        "HMAC-SHA256",
    )
    return _but(headers, wechatpay_signature_type=chance.choice(kinds)), body


def _one_byte_of_the_body(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    spoilt = bytearray(body)
    spoilt[chance.randrange(len(spoilt))] ^= chance.randrange(1, 256)
    return headers, bytes(spoilt)


def _written_anew(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    same = json.loads(body)
    texts = [json.dumps(same), json.dumps(same, indent=1), json.dumps(same, sort_keys=True)]
    return headers, chance.choice(
        [text.encode() for text in texts] + [body + b"\n", b" " + body, b"\xef\xbb\xbf" + body]
    )


def _another_notice(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    return headers, json.dumps({**json.loads(body), "id": chance.randbytes(16).hex()}).encode()


def _no_notice(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    bodies = (
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"id":' * 9_000,
        b"9" * 5_000,
        b"x" * 70_000,
        body[:-1],
    )
    return headers, chance.choice(bodies)


def _another_content(chance: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    xml = b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aa'><!ENTITY b '&a;&a;'>]><xml>&b;</xml>"
    kind = chance.choice(("text/xml", "application/xml", "text/plain", "multipart/form-data; boundary=x", ""))
    return _but(headers, content_type=kind), xml


def _packed(_: random.Random, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    return _but(headers, content_encoding="gzip"), body


FORGERIES: dict[str, Forgery] = {
    "N1": _no_headers,
    "N2": _one_missing,
    "N3": _a_probe,
    "N4": _anothers_key,
    "N5": _no_base64,
    "N5 random": _random_signature,
    "N5 one bit": _one_bit_of_the_signature,
    "N6": _unknown_serial,
    "N7, N8": _no_serial,
    "N9": _anothers_key_id,
    "N10": _no_time,
    "N10 moved": _another_time,
    "nonce": _another_nonce,
    "type": _another_type,
    "N12": _one_byte_of_the_body,
    "N12 anew": _written_anew,
    "N12 another": _another_notice,
    "N23": _no_notice,
    "N24": _another_content,
    "N23 packed": _packed,
}


async def _all_refused(shop: Shop, chance: random.Random, times: int) -> None:
    gateway = shop.worker.gateway
    if gateway.keyring.uses_certificates:
        await shop.certified()
    certificates = [one.serial_number for one in gateway.keyring.certificates]
    calls: list[str] = []

    async def count(request: httpx.Request) -> None:
        calls.append(str(request.url))

    gateway.connection._http.event_hooks["request"].append(count)
    letter, no = await _genuine(shop)
    calls.clear()
    before = await _books(shop)
    for kind, forgery in FORGERIES.items():
        for _ in range(times):
            headers, body = forgery(chance, letter_headers(letter), letter.body)
            answer = await shop.http.post(
                "/wechat/pay/notify",
                content=body,
                headers={name: value.encode("utf-8") for name, value in headers.items()},
            )
            assert answer.status_code in ({413, 415, 401} if kind in ("N23", "N24", "N23 packed") else {401}), kind
            assert answer.json()["code"] == "FAIL"
    assert await _books(shop) == before
    assert calls == []
    assert [one.serial_number for one in gateway.keyring.certificates] == certificates
    assert (await shop.notify(letter)).status_code == 204, "and the genuine one is believed as before"
    assert await shop.sql.fetchval("SELECT state FROM orders WHERE no = $1", no) == "paid"


def letter_headers(letter: Letter) -> Headers:
    headers = {name.lower(): value for name, value in letter.headers.items()}
    return {name: value for name, value in headers.items() if name in OWN or name == "content-type"}


async def _genuine(shop: Shop) -> tuple[Letter, str]:
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    shop.world.pay(await buyer.prepay(no))
    return shop.mailbox.take(), no


async def _books(shop: Shop) -> list[Any]:
    """Everything that a notice could leave behind."""
    tables = ("notice", "payment_exception", "payment", "refund", "posting", "orders", "order_event", "pgqueuer")
    return [
        await shop.sql.fetchval(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t")
        for table in tables
    ]


async def test_forged_notices_where_a_public_key_verifies(shop: Shop, chance: random.Random, rounds: Rounds) -> None:
    await _all_refused(shop, chance, rounds(20, 1000))


async def test_forged_notices_where_certificates_verify(
    shop_of_an_older_merchant: Shop, chance: random.Random, rounds: Rounds
) -> None:
    await _all_refused(shop_of_an_older_merchant, chance, rounds(20, 1000))
