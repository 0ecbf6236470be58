"""One notice as it goes over the wire: envelope, sealed resource, signature. New at every attempt but for the id."""

import secrets
import sqlite3
import string
import time
from dataclasses import dataclass
from typing import Literal

from sandbox import sealing
from sandbox.clock import on_the_wire
from sandbox.pay import numbers
from sandbox.pay.exchange import encode
from sandbox.pay.gate import SCHEME
from sandbox.world import World

Variant = Literal["stale", "bad_signature", "probe", "unknown_serial", "wrong_key"]
"""Ways to be refused: an old timestamp, a signature over something else, WeChat's own signature probe, a serial nobody
knows, a resource sealed with another APIv3 key."""

ALPHABET = string.ascii_letters + string.digits
STALE_S = 600
PROBE = "WECHATPAY/SIGNTEST/"


@dataclass(frozen=True)
class Letter:
    """What is POSTed."""

    headers: dict[str, str]
    body: bytes


def write(world: World, notice: sqlite3.Row, attempt: int, variant: Variant | None = None) -> Letter:
    """Seal and sign the ``attempt``-th time (from 0)."""
    body = _envelope(world, notice, variant)
    timestamp = str(int(time.time()) - (STALE_S if variant == "stale" else 0))
    nonce = _random(32)
    serial, signature = _sign(world, attempt, sealing.answer_text(timestamp, nonce, body))
    if variant == "bad_signature":
        _, signature = _sign(world, attempt, sealing.answer_text(timestamp, nonce, body + b" "))
    elif variant == "probe":
        signature = PROBE + signature[len(PROBE) :]
    elif variant == "unknown_serial":
        serial = "PUB_KEY_ID_00000000" + "9" * 26
    headers = {
        "Content-Type": "application/json",
        "Accept": "*/*",
        "User-Agent": "Mozilla/4.0",
        "Request-ID": numbers.request_id(0),
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Serial": serial,
        "Wechatpay-Signature": signature,
        "Wechatpay-Signature-Type": SCHEME,
        "Wechatpay-Timestamp": timestamp,
    }
    return Letter(headers, body)


def _envelope(world: World, notice: sqlite3.Row, variant: Variant | None) -> bytes:
    nonce = _random(12)
    key = secrets.token_hex(16) if variant == "wrong_key" else world.keys.identity.apiv3_key
    return encode(
        {
            "id": notice["id"],
            "create_time": on_the_wire(notice["created_at"]),
            "resource_type": "encrypt-resource",
            "event_type": notice["event_type"],
            "summary": notice["summary"],
            "resource": {
                "original_type": notice["kind"],
                "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": sealing.seal(key, nonce, notice["kind"], notice["plaintext"].encode()),
                "associated_data": notice["kind"],
                "nonce": nonce,
            },
        }
    )


def _sign(world: World, attempt: int, text: bytes) -> tuple[str, str]:
    """In the migration week (``both``) notices come signed now with the certificate, now with the public key."""
    keys, mode = world.keys, world.knobs.key_mode
    if mode == "certificate" or (mode == "both" and attempt % 2 == 0):
        return keys.platform_serial, sealing.sign(keys.platform, text)
    return keys.identity.public_key_id, sealing.sign(keys.public_key, text)


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
