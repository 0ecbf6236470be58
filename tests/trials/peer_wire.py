"""How the independent WeChat Pay peer signs, verifies and seals. Written from WeChat Pay's own description."""

import json
import os
import re
import secrets
import time
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

SCHEME = "WECHATPAY2-SHA256-RSA2048"


class Refusal(Exception):
    """What the peer answers instead: a status and a code."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(f"{status} {code} {message}")
        self.status, self.code, self.message = status, code, message


class Keys:
    """One merchant's world of keys: nothing of it comes from the shop or from the sandbox."""

    def __init__(self) -> None:
        self.merchant = generate_private_key(public_exponent=65537, key_size=2048)
        self.platform = generate_private_key(public_exponent=65537, key_size=2048)
        self.stranger = generate_private_key(public_exponent=65537, key_size=2048)
        self.merchant_serial = secrets.token_hex(20).upper()
        self.public_key_id = f"PUB_KEY_ID_01{secrets.randbelow(10**30):030d}"
        self.apiv3_key = secrets.token_hex(16)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """The two PEM files a merchant has: its own private key, WeChat Pay's public key."""
        private, public = folder / "apiclient_key.pem", folder / "pub_key.pem"
        private.write_bytes(self.merchant.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public.write_bytes(self.platform.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return private, public

    def signed(self, body: bytes, *, key: RSAPrivateKey | None = None, age_s: int = 0) -> dict[str, str]:
        """The headers of an answer or of a notification."""
        timestamp, nonce = str(int(time.time()) - age_s), secrets.token_hex(16)
        text = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
        return {
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Signature": b64encode((key or self.platform).sign(text, PKCS1v15(), SHA256())).decode(),
            "Wechatpay-Serial": self.public_key_id,
            "Wechatpay-Signature-Type": SCHEME,
        }

    def seal(self, plain: dict[str, Any], associated: str) -> dict[str, str]:
        nonce = secrets.token_hex(6)
        sealed = AESGCM(self.apiv3_key.encode()).encrypt(
            nonce.encode(), json.dumps(plain, ensure_ascii=False).encode(), associated.encode()
        )
        return {
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": b64encode(sealed).decode(),
            "associated_data": associated,
            "nonce": nonce,
        }

    def check(self, mchid: str, method: str, target: str, headers: Any, body: bytes) -> None:
        """A request's signature, in the order of checks of the real gateway. Raises `Refusal`."""
        if not headers.get("User-Agent") or not headers.get("Accept"):
            raise Refusal(400, "INVALID_REQUEST", "Http头缺少Accept或User-Agent")
        scheme, _, rest = (headers.get("Authorization") or "").partition(" ")
        said = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        if scheme != SCHEME or set(said) != {"mchid", "nonce_str", "signature", "timestamp", "serial_no"}:
            raise Refusal(401, "SIGN_ERROR", "Http头Authorization值格式错误")
        if abs(time.time() - int(said["timestamp"])) > 300:
            raise Refusal(401, "SIGN_ERROR", "timestamp")
        if said["mchid"] != mchid or said["serial_no"] != self.merchant_serial:
            raise Refusal(401, "SIGN_ERROR", "商户证书序列号有误")
        if headers.get("Wechatpay-Serial") != self.public_key_id:
            raise Refusal(400, "PARAM_ERROR", "Wechatpay-Serial")
        text = f"{method}\n{target}\n{said['timestamp']}\n{said['nonce_str']}\n".encode() + body + b"\n"
        try:
            self.merchant.public_key().verify(b64decode(said["signature"]), text, PKCS1v15(), SHA256())
        except InvalidSignature:
            raise Refusal(401, "SIGN_ERROR", "错误的签名，验签失败") from None

    def pay_sign(self, appid: str, params: dict[str, str]) -> None:
        """What the client checks: `wx.requestPayment`'s signature. Raises InvalidSignature."""
        text = f"{appid}\n{params['timeStamp']}\n{params['nonceStr']}\n{params['package']}\n".encode()
        self.merchant.public_key().verify(b64decode(params["paySign"]), text, PKCS1v15(), SHA256())


def members(body: Any, allowed: dict[str, type | tuple[type, ...]], required: set[str]) -> dict[str, Any]:
    """A strict look at a JSON object: no unknown member, no null, exact types. Raises `Refusal`."""
    if not isinstance(body, dict) or not required <= set(body):
        raise Refusal(400, "PARAM_ERROR", f"missing one of {sorted(required)}")
    for name, value in body.items():
        if name not in allowed or not isinstance(value, allowed[name]) or isinstance(value, bool):
            raise Refusal(400, "PARAM_ERROR", f"{name}: {value!r}"[:80])
    return body


def free_environment() -> dict[str, str]:
    """This process's environment without anything that concerns a shop."""
    ours = ("SHOP_", "SANDBOX_", "DATABASE_", "WECHAT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
