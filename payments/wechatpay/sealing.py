"""Sensitive members of a request (names, numbers of accounts): RSAES-OAEP with SHA-1 to WeChat Pay's key (v3, sensitive fields).

A sealed text may be kept: only WeChat can open it. The request that carries it must name the same key in its
`Wechatpay-Serial`.
"""

import msgspec
from wechatpayv3.async_.utils import rsa_encrypt

from kit.errors import Unavailable, invalid
from payments.wechatpay.keyring import Keyring

_MAX_BYTES = 214  # what OAEP with SHA-1 takes under a 2048-bit key


class CannotSeal(Unavailable):
    """WeChat Pay's key is not there yet; ask again shortly."""

    zh = "微信支付公钥尚未就绪，请稍后重试"


class SealedText(msgspec.Struct, frozen=True):
    """Base64 of the ciphertext, and the serial of the key that it is for."""

    serial: str
    text: str

    def __repr__(self) -> str:
        return f"SealedText(serial={self.serial!r})"


def seal(keyring: Keyring, plain: str) -> SealedText:
    """Encrypt `plain` to WeChat's newest key. Raises `CannotSeal` (503), `InvalidInput` (400) for what is too long."""
    found = keyring.newest()
    if found is None:
        raise CannotSeal
    if len(plain.encode()) > _MAX_BYTES:
        raise invalid("name", f"must have at most {_MAX_BYTES} bytes of UTF-8")
    serial, key = found
    return SealedText(serial, str(rsa_encrypt(plain, key)))
