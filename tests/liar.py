"""Somebody who can sign and seal anything, and a shop that believes it: what if WeChat Pay's key were stolen?"""

import base64
import dataclasses
import json
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cast import Shop
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shop.app import create_app
from shop.settings import Settings, read

SERIAL = "PUB_KEY_ID_0114232134912410000000000000"


class Liar:
    """Signs and seals whatever it is given."""

    def __init__(self, http: httpx.AsyncClient, settings: Settings, key: rsa.RSAPrivateKey) -> None:
        self.http = http
        self.settings = settings
        self.key = key

    def sealed(self, plain: Any, kind: str = "transaction") -> dict[str, Any]:
        nonce, extra = os.urandom(6).hex(), kind
        raw = plain if isinstance(plain, bytes) else json.dumps(plain).encode()
        cipher = AESGCM(self.settings.pay.apiv3_key.encode()).encrypt(nonce.encode(), raw, extra.encode())
        return {
            "original_type": kind,
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": base64.b64encode(cipher).decode(),
            "associated_data": extra,
            "nonce": nonce,
        }

    def envelope(self, plain: Any, event: str = "TRANSACTION.SUCCESS", **changed: Any) -> dict[str, Any]:
        kind = "refund" if event.startswith("REFUND") else "transaction"
        return {
            "id": os.urandom(16).hex(),
            "create_time": "2026-03-02T12:00:00+08:00",
            "resource_type": "encrypt-resource",
            "event_type": event,
            "summary": "支付成功",
            "resource": self.sealed(plain, kind),
            **changed,
        }

    async def send(self, body: Any, *, off_s: int = 0, **headers: str) -> httpx.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        timestamp, nonce = str(int(time.time()) + off_s), os.urandom(16).hex()
        signed = b"%s\n%s\n%s\n" % (timestamp.encode(), nonce.encode(), raw)
        signature = self.key.sign(signed, padding.PKCS1v15(), SHA256())
        sent = {
            "content-type": "application/json",
            "wechatpay-serial": SERIAL,
            "wechatpay-timestamp": timestamp,
            "wechatpay-nonce": nonce,
            "wechatpay-signature": base64.b64encode(signature).decode(),
            "wechatpay-signature-type": "WECHATPAY2-SHA256-RSA2048",
            **headers,
        }
        encoded = {name: value.encode("latin-1") for name, value in sent.items()}
        return await self.http.post("/wechat/pay/notify", content=raw, headers=encoded)


@pytest.fixture
async def liar(shop: Shop, settings: Settings) -> AsyncIterator[Liar]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    given = {**shop.world.env, "DATABASE_URL": settings.database_url, "SHOP_DATA_DIR": str(settings.data_dir)}
    found = read(given)
    found = dataclasses.replace(found, pay=dataclasses.replace(found.pay, public_key=public, public_key_id=SERIAL))
    app = create_app(found, clock=shop.world.clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        yield Liar(http, found, key)


async def unpaid_trade(shop: Shop, liar: Liar, **changed: Any) -> tuple[str, dict[str, Any]]:
    """An unpaid order, and what WeChat would say if it were paid."""
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    out_trade_no = await buyer.prepay(no)
    total = await shop.sql.fetchval("SELECT amount_fen FROM payment WHERE out_trade_no = $1", out_trade_no)
    return no, {
        "mchid": liar.settings.pay.mch_id,
        "appid": liar.settings.wechat.app_id,
        "out_trade_no": out_trade_no,
        "transaction_id": f"42000099992026{os.urandom(7).hex()}",
        "trade_type": "JSAPI",
        "trade_state": "SUCCESS",
        "success_time": "2026-03-02T12:00:00+08:00",
        "amount": {"total": total, "payer_total": total, "currency": "CNY", "payer_currency": "CNY"},
        **changed,
    }
