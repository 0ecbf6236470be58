"""Is this really from WeChat Pay? (WeChat Pay v3, verifying signatures of notifications.)

Everything that is not a valid, fresh signature over the raw bytes is refused alike, with no trace and no call.
Signature probes (`WECHATPAY/SIGNTEST/…`) are just wrong signatures.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from kit.errors import Malformed, SignInNeeded
from payments.wechatpay import signature
from payments.wechatpay.keyring import Keyring, Sealed

_Word = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[!-~]+$(?!\n)")]


class NotGenuine(SignInNeeded):
    """The signature is missing, stale or wrong."""

    zh = "签名缺失、过期或错误"


class NotReadable(Malformed):
    """Signed, but not a notification that can be read."""

    zh = "通知内容无法解析"


class Envelope(msgspec.Struct, frozen=True):
    """The outer JSON. `resource.original_type` and `event_type` together say what is inside."""

    id: _Word
    event_type: _Word
    resource_type: str
    resource: Sealed


def verify(headers: Mapping[str, str], raw: bytes, keyring: Keyring, wall_clock_s: float) -> Envelope:
    """The envelope of a genuine notification. Raises `NotGenuine` (401) or `NotReadable` (400).

    `headers` has lower-case names; a header that came twice must be given joined (and is then refused).
    """
    try:
        signature.check(headers, raw, keyring.find, wall_clock_s)
    except signature.BadSignature as error:
        raise NotGenuine from error
    return _read(raw)


def _read(raw: bytes) -> Envelope:
    try:
        envelope = msgspec.json.decode(raw, type=Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotReadable from error
    if envelope.resource_type != "encrypt-resource":
        raise NotReadable
    return envelope
