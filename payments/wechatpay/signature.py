"""WeChat's signature over what it sends us, be it an answer or a notification.

Freshness, then the serial by the allow-list of keys that we have, then RSA over the raw bytes: what is not WeChat's costs
no work and no call.
"""

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

FRESH_S = 300
"""WeChat's rule: a timestamp more than five minutes off, either way, is refused."""
_TYPE = "WECHATPAY2-SHA256-RSA2048"
_MAX_SIGNATURE = 1024


class BadSignature(Exception):
    """Missing, stale, or wrong; the message says which, for the log."""


class UnknownSerial(BadSignature):
    """Signed with a key that we do not have."""


def check(
    headers: Mapping[str, str], raw: bytes, find: Callable[[str], RSAPublicKey | None], wall_clock_s: float
) -> None:
    """Raises `BadSignature` unless `raw` is WeChat's, and fresh.

    `headers` are found by lower-case names. `find` gives the key of exactly one serial, and `None` for all others.
    """
    timestamp = headers.get("wechatpay-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        raise BadSignature("no timestamp")
    if abs(wall_clock_s - int(timestamp)) > FRESH_S:
        raise BadSignature("timestamp more than five minutes off")
    if headers.get("wechatpay-signature-type") != _TYPE:
        raise BadSignature("another kind of signature, or none")
    nonce, signature = headers.get("wechatpay-nonce", ""), headers.get("wechatpay-signature", "")
    if not nonce or not 0 < len(signature) <= _MAX_SIGNATURE:
        raise BadSignature("no signature")
    key = find(headers.get("wechatpay-serial", ""))
    if key is None:
        raise UnknownSerial("signed with a key that is not known here")
    try:
        signed = b"%s\n%s\n%s\n" % (timestamp.encode(), nonce.encode(), raw)
        key.verify(b64decode(signature, validate=True), signed, PKCS1v15(), SHA256())
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise BadSignature("wrong signature") from error
