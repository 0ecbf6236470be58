"""``GET /v3/certificates``: WeChat's platform certificate, sealed with the merchant's APIv3 key."""

import secrets
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sandbox import sealing
from sandbox.clock import BEIJING
from sandbox.pay import refusals
from sandbox.world import World

NONE_HERE = (
    "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥。可查看指引"
    "https://pay.weixin.qq.com/docs/merchant/products/platform-certificate/wxp-pub-key-guide.html"
)


def download(world: World) -> dict[str, Any]:
    """The certificates now valid. A merchant who has only the public key is answered 404, and cannot use this call."""
    if world.knobs.key_mode == "public_key":
        raise refusals.resource_unknown(NONE_HERE)
    return {"data": [_entry(world, serial, pair[1]) for serial, pair in world.keys.platforms.items()]}


def _entry(world: World, serial: str, certificate: x509.Certificate) -> dict[str, Any]:
    nonce = secrets.token_hex(6)
    pem = certificate.public_bytes(Encoding.PEM).rstrip()
    return {
        "serial_no": serial,
        "effective_time": certificate.not_valid_before_utc.astimezone(BEIJING).isoformat(timespec="seconds"),
        "expire_time": certificate.not_valid_after_utc.astimezone(BEIJING).isoformat(timespec="seconds"),
        "encrypt_certificate": {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": nonce,
            "associated_data": "certificate",
            "ciphertext": sealing.seal(world.keys.identity.apiv3_key, nonce, "certificate", pem),
        },
    }
