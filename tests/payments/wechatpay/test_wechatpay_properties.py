"""For any text, any JSON, any change of a byte: what must always hold."""

import json
import secrets
import time
from base64 import b64decode, b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from false_wechat import APIV3_KEY, PUBLIC_KEY_ID, key, public_pem
from hypothesis import given
from hypothesis import strategies as st

from payments.trades import CombinedTrade, RefundTrade, Trade
from payments.wechatpay import notification
from payments.wechatpay.answers import Refused, Unknown, read, refusal
from payments.wechatpay.customs import CustomsAnswer
from payments.wechatpay.keyring import BadCertificates, CannotOpen, Keyring
from payments.wechatpay.notification import NotGenuine, NotReadable
from payments.wechatpay.sharing import SharingOrder, SharingReturn
from payments.wechatpay.transfers import TransferBill
from payments.wechatpay.wording import cut, number

READERS: list[Any] = [Trade, CombinedTrade, RefundTrade, TransferBill, SharingOrder, SharingReturn, CustomsAnswer]
NAMES = sorted({name for reader in READERS for name in reader.__struct_fields__} | {"total", "openid", "refund"})
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=8),
    max_leaves=20,
)


@given(st.text(), st.integers(0, 200))
def test_a_cut_text_is_a_beginning_that_fits(value: str, limit: int) -> None:
    short, whole = cut(value, limit), value.encode(errors="ignore").decode()
    assert len(short.encode()) <= limit
    assert whole.startswith(short)
    if len(whole.encode()) > limit:
        following = whole[len(short)]
        assert len((short + following).encode()) > limit
    else:
        assert short == whole


@given(st.text())
def test_only_letters_and_digits_make_a_number(value: str) -> None:
    fits = 1 <= len(value) <= 32 and all(c.isascii() and c.isalnum() for c in value)
    if fits:
        assert number(value) == value
    else:
        with pytest.raises(ValueError, match="letters and digits"):
            number(value)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@given(st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_answer_is_read_or_unknown(reader: Any, raw: bytes) -> None:
    try:
        found = read(raw, reader)
    except Unknown:
        return
    assert isinstance(found, reader)
    for name in dir(type(found)):  # properties too
        if isinstance(getattr(type(found), name), property):
            getattr(found, name)


@given(st.integers(400, 499), st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_refusal_is_a_refusal(status: int, raw: bytes) -> None:
    error = refusal(status, raw)
    assert isinstance(error, Refused)
    assert "_" not in error.code


@given(VALUES)
def test_any_list_of_certificates_is_refused_alike(value: object) -> None:
    with pytest.raises((BadCertificates, CannotOpen)):
        Keyring(APIV3_KEY).take_over({}, json.dumps({"data": value}).encode(), 0)


KEYRING = Keyring(APIV3_KEY, public_key=public_pem(key("public")), public_key_id=PUBLIC_KEY_ID)
NOW = int(time.time())


def _letter(content: object) -> tuple[dict[str, str], bytes]:
    """As WeChat sends it."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    text = f"{NOW}\nnonce\n".encode() + raw + b"\n"
    headers = {
        "wechatpay-timestamp": str(NOW),
        "wechatpay-nonce": "nonce",
        "wechatpay-serial": PUBLIC_KEY_ID,
        "wechatpay-signature": b64encode(key("public").sign(text, PKCS1v15(), SHA256())).decode(),
        "wechatpay-signature-type": "WECHATPAY2-SHA256-RSA2048",
    }
    return headers, raw


def _notice() -> dict[str, Any]:
    nonce = secrets.token_hex(6)
    sealed = AESGCM(APIV3_KEY.encode()).encrypt(nonce.encode(), b'{"out_trade_no":"P1"}', b"transaction")
    resource = {
        "original_type": "transaction",
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": b64encode(sealed).decode(),
        "associated_data": "transaction",
        "nonce": nonce,
    }
    return {"id": "1", "event_type": "TRANSACTION.SUCCESS", "resource_type": "encrypt-resource", "resource": resource}


HEADERS, RAW = _letter(_notice())


def test_the_letter_itself_is_genuine() -> None:
    envelope = notification.verify(HEADERS, RAW, KEYRING, NOW)
    assert KEYRING.open(envelope.resource) == b'{"out_trade_no":"P1"}'


@given(
    st.sampled_from(sorted(HEADERS)), st.none() | st.text(max_size=400) | st.text(alphabet="0123456789", max_size=15)
)
def test_no_header_can_be_another(name: str, value: str | None) -> None:
    if value == HEADERS[name]:
        return
    changed = {word: text for word, text in HEADERS.items() if word != name} | ({} if value is None else {name: value})
    with pytest.raises(NotGenuine):
        notification.verify(changed, RAW, KEYRING, NOW)


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_no_byte_of_the_body_can_be_another(place: int, change: int) -> None:
    spoilt = bytearray(RAW)
    spoilt[place] ^= change
    with pytest.raises(NotGenuine):
        notification.verify(HEADERS, bytes(spoilt), KEYRING, NOW)


@given(st.integers(0, 255), st.integers(0, 7))
def test_no_bit_of_the_signature_can_be_another(place: int, bit: int) -> None:
    spoilt = bytearray(b64decode(HEADERS["wechatpay-signature"]))
    spoilt[place] ^= 1 << bit
    with pytest.raises(NotGenuine):
        notification.verify(HEADERS | {"wechatpay-signature": b64encode(spoilt).decode()}, RAW, KEYRING, NOW)


@given(st.integers(-(10**9), 10**9))
def test_a_letter_is_good_for_five_minutes_either_way(seconds: int) -> None:
    if abs(seconds) <= 300:
        notification.verify(HEADERS, RAW, KEYRING, NOW + seconds)
    else:
        with pytest.raises(NotGenuine):
            notification.verify(HEADERS, RAW, KEYRING, NOW + seconds)


@given(VALUES | st.dictionaries(st.sampled_from(["id", "event_type", "resource_type", "resource"]), VALUES))
def test_whatever_is_signed_is_read_or_not_readable(content: object) -> None:
    headers, raw = _letter(content)
    try:
        envelope = notification.verify(headers, raw, KEYRING, NOW)
        KEYRING.open(envelope.resource)
    except (NotReadable, CannotOpen, ValueError):
        pass
