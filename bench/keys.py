"""A merchant of our own: the key pairs the shop is given, so that we can sign what WeChat Pay would send."""

import time
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from bench.data.people import APP_ID

_NOWHERE = "http://127.0.0.1:9"


def _new() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def _private(key: RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@dataclass(frozen=True)
class Merchant:
    """Whose shop it is. `wechat` is WeChat Pay's own key, `settings` what the shop is told of both."""

    wechat: RSAPrivateKey
    settings: dict[str, str]

    @property
    def mchid(self) -> str:
        """The merchant's number."""
        return self.settings["WECHAT_PAY_MCH_ID"]

    @property
    def apiv3_key(self) -> bytes:
        """What notices are sealed with."""
        return self.settings["WECHAT_PAY_APIV3_KEY"].encode()

    @property
    def key_id(self) -> str:
        """What names WeChat Pay's key in a header."""
        return self.settings["WECHAT_PAY_PUBLIC_KEY_ID"]

    def environment(self) -> dict[str, str]:
        """The shop's settings."""
        return dict(self.settings)

    def verify_s(self) -> float:
        """CPU seconds of one verification of a signature on one core: the better of three tries."""
        text = b"x" * 1200
        signature = self.wechat.sign(text, PKCS1v15(), SHA256())
        public = self.wechat.public_key()
        tries = []
        for _ in range(3):
            began, count = time.process_time(), 2000
            for _ in range(count):
                public.verify(signature, text, PKCS1v15(), SHA256())
            tries.append((time.process_time() - began) / count)
        return min(tries)

    def sign(self, text: bytes) -> str:
        """As WeChat Pay signs, in base64."""
        return b64encode(self.wechat.sign(text, PKCS1v15(), SHA256())).decode()


def made() -> Merchant:
    """A merchant made for this run; nobody answers at WeChat's end."""
    wechat = _new()
    public = wechat.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return Merchant(
        wechat,
        {
            "WECHAT_API_URL": _NOWHERE,
            "WECHAT_APP_ID": APP_ID,
            "WECHAT_APP_SECRET": "0" * 32,
            "WECHAT_PAY_URL": _NOWHERE,
            "WECHAT_PAY_MCH_ID": "1900000109",
            "WECHAT_PAY_CERT_SERIAL": "0" * 40,
            "WECHAT_PAY_PRIVATE_KEY": _private(_new()),
            "WECHAT_PAY_APIV3_KEY": "bench" * 6 + "00",
            "WECHAT_PAY_PUBLIC_KEY": public,
            "WECHAT_PAY_PUBLIC_KEY_ID": "PUB_KEY_ID_0119000001090000000000000001",
        },
    )


def of_sandbox(folder: Path) -> Merchant:
    """The merchant whom the simulated WeChat in `folder` knows."""
    lines = (folder / "merchant.env").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    settings = {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}
    key = load_pem_private_key((folder / "wechatpay_key.pem").read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    return Merchant(key, settings)
