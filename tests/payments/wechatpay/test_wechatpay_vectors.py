"""What Tencent and others published: our signing, verifying, opening and sealing agree with it to the byte."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from false_wechat import APIV3_KEY, PUBLIC_KEY_ID, FalseWeChat, key, public_pem

from payments.trades import RefundTrade, Trade
from payments.wechatpay import notification, sealing, signature
from payments.wechatpay.answers import read
from payments.wechatpay.keyring import BadCertificates, CannotOpen, Keyring, Sealed
from payments.wechatpay.notification import NotGenuine

HERE = Path(__file__).parent / "vectors"
SHARED = Path(__file__).parents[2] / "sandbox" / "vectors"
TYPE = {"wechatpay-signature-type": "WECHATPAY2-SHA256-RSA2048"}


def vector(name: str) -> dict[str, Any]:
    folder = HERE if (HERE / f"{name}.json").exists() else SHARED
    return dict(json.loads((folder / f"{name}.json").read_text()))


WORLD = vector("sandbox-end-to-end")


def _public(pem: str) -> RSAPublicKey:
    found = load_pem_public_key(pem.encode())
    assert isinstance(found, RSAPublicKey)
    return found


class Pen:
    """Stands for a private key that nobody published: keeps what it is to sign."""

    def __init__(self) -> None:
        self.text = b""

    def sign(self, *, data: bytes, **_: object) -> bytes:
        self.text = data
        return b""


@pytest.fixture
def signed_text(false_wechat: FalseWeChat) -> tuple[FalseWeChat, Pen]:
    pen = Pen()
    false_wechat.connection._private_key = pen
    return false_wechat, pen


@pytest.mark.parametrize("case", vector("official-request-signatures")["cases"], ids=lambda case: case["name"])
async def test_requests_are_signed_as_published(signed_text: tuple[FalseWeChat, Pen], case: dict[str, Any]) -> None:
    official = vector("official-request-signatures")
    wechat, pen = signed_text
    wechat.connection._headers(case["method"], case["path"], case["body"], None)
    lines = pen.text.decode().split("\n", 4)  # the time and the nonce are ours; the published ones stand in
    lines[2:4] = [official["timestamp"], official["nonce_str"]]
    public = _public(official["public_of_private_key_pkcs8_pem"])
    public.verify(b64decode(case["signature"]), "\n".join(lines).encode(), PKCS1v15(), SHA256())


@pytest.mark.parametrize("case", vector("official-client-pay-signatures")["cases"], ids=lambda case: case["name"])
async def test_clients_are_given_what_is_published(signed_text: tuple[FalseWeChat, Pen], case: dict[str, Any]) -> None:
    official = vector("official-client-pay-signatures")
    wechat, pen = signed_text
    wechat.connection.sign(official["appid"], official["timestamp"], official["nonce_str"], case["fourth_line"])
    public = _public(official["public_of_private_key_pkcs8_pem"])
    public.verify(b64decode(case["signature"]), pen.text, PKCS1v15(), SHA256())


def _check(case: dict[str, Any], public: RSAPublicKey, **changed: str) -> None:
    headers = {
        "wechatpay-timestamp": case["timestamp"],
        "wechatpay-nonce": case["nonce"],
        "wechatpay-signature": case["signature"],
        "wechatpay-serial": "S",
        **TYPE,
        **changed,
    }
    signature.check(headers, case["body"].encode(), {"S": public}.get, int(case["timestamp"]) + 299)


def test_published_answers_verify() -> None:
    official = vector("official-response-signature")
    platform = _public(WORLD["platform"]["public_key_pem"])
    cases = [(case, _public(official["wechatpay_public_key_pem"])) for case in official["cases"]]
    cases += [(WORLD[name], platform) for name in ("response", "empty_204_response")]
    for case, public in cases:
        _check(case, public)
        for changed in ({"wechatpay-nonce": "x"}, {"wechatpay-timestamp": str(int(case["timestamp"]) + 1)}):
            with pytest.raises(signature.BadSignature):
                _check(case, public, **changed)


@pytest.mark.parametrize("name", ["go-sign-verify", "java-rsa"])
def test_published_signatures_fit_published_keys(name: str) -> None:
    content = vector(name)
    pair = content.get("merchant", content)
    cases = content.get("cases") or content["signature_cases"]
    certificate = load_pem_x509_certificate(pair["certificate_pem"].encode())
    serial = pair.get("certificate_serial_no") or pair["serial_no"]
    assert serial == f"{certificate.serial_number:X}"
    public = certificate.public_key()
    assert isinstance(public, RSAPublicKey)
    public.verify(b64decode(cases[0]["signature"]), cases[0]["message"].encode(), PKCS1v15(), SHA256())
    with pytest.raises(InvalidSignature):
        public.verify(b64decode(cases[0]["signature"]), b"wrong " + cases[0]["message"].encode(), PKCS1v15(), SHA256())


@pytest.mark.parametrize("name", ["java-aead", "axios-aead", "go-aead-short-key"])
def test_published_resources_open(name: str) -> None:
    content = vector(name)
    for case in content["cases"]:
        given = {word: case[word] for word in ("ciphertext", "nonce", "associated_data")}
        keyring = Keyring(case["apiv3_key"])
        assert keyring.open(Sealed("AEAD_AES_256_GCM", **given)) == case["plaintext"].encode()
        for changed in content.get("negative", []):
            other = Keyring(changed.get("apiv3_key", case["apiv3_key"]))
            spoilt = given | {word: value for word, value in changed.items() if word in given}
            with pytest.raises((CannotOpen, ValueError)):
                other.open(Sealed("AEAD_AES_256_GCM", **spoilt))


def _world_keyring(mode: str) -> Keyring:
    if mode == "public_key":
        pair = {"public_key": WORLD["platform"]["public_key_pem"], "public_key_id": WORLD["platform"]["public_key_id"]}
        return Keyring(WORLD["apiv3_key"], **pair)
    keyring = Keyring(WORLD["apiv3_key"])
    certificate = load_pem_x509_certificate(WORLD["platform"]["certificate_pem"].encode())
    public = certificate.public_key()
    assert isinstance(public, RSAPublicKey)
    keyring._downloaded = {WORLD["platform"]["serial_no"]: (public, certificate)}
    return keyring


NOTICES = sorted(name for name in WORLD if "notification" in name)


@pytest.mark.parametrize("name", NOTICES)
def test_notifications_of_a_whole_world_are_read(name: str) -> None:
    notice = WORLD[name]
    headers = {word.lower(): value for word, value in notice["headers"].items()}
    mode = "public_key" if headers["wechatpay-serial"].startswith("PUB_KEY_ID_") else "certificate"
    now = int(headers["wechatpay-timestamp"])
    keyring = _world_keyring(mode)
    envelope = notification.verify(headers, notice["body"].encode(), keyring, now)
    plain = keyring.open(envelope.resource)
    assert plain == notice["plaintext"].encode()
    kind: Any = Trade if envelope.event_type.startswith("TRANSACTION") else RefundTrade
    assert read(plain, kind).out_trade_no
    for when in (now - 301, now + 301):
        with pytest.raises(NotGenuine):
            notification.verify(headers, notice["body"].encode(), keyring, when)
    with pytest.raises(NotGenuine):
        notification.verify(headers, notice["body"].encode(), Keyring(WORLD["apiv3_key"]), now)


def test_a_published_notification_is_read() -> None:
    """It is older than `Wechatpay-Signature-Type`, which is a must today."""
    go = vector("go-notification")
    public = load_pem_x509_certificate(go["certificate_pem"].encode()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    keyring = Keyring(go["apiv3_key"], public_key=pem, public_key_id=go["certificate_serial_no"])
    headers = {word.lower(): value for word, value in go["headers"].items()}
    now = int(headers["wechatpay-timestamp"])
    with pytest.raises(NotGenuine):
        notification.verify(headers, go["body"].encode(), keyring, now)
    envelope = notification.verify(headers | TYPE, go["body"].encode(), keyring, now)
    assert keyring.open(envelope.resource) == go["plaintext"].encode()


@pytest.mark.parametrize("name", ["java-certificates-response", "go-certificates-response"])
def test_published_lists_of_certificates_open(name: str) -> None:
    content = vector(name)
    keyring = Keyring(content["apiv3_key"])
    keyring.hold(content["body"].encode())
    (certificate,) = keyring.certificates
    if "plaintext" in content:
        assert certificate == load_pem_x509_certificate(content["plaintext"].encode())
    if "serial_no" in content:
        assert f"{certificate.serial_number:X}" == content["serial_no"]
    with pytest.raises(CannotOpen):
        Keyring(content["apiv3_key"][::-1]).hold(content["body"].encode())
    with pytest.raises(BadCertificates):  # without WeChat's signature it is looked at, never believed
        Keyring(content["apiv3_key"]).take_over({}, content["body"].encode(), 1_700_000_000)


def test_the_lists_of_a_whole_world_open() -> None:
    for name in WORLD:
        if "certificates" in name:
            keyring = Keyring(WORLD["apiv3_key"])
            body = WORLD[name]["body"] if isinstance(WORLD[name], dict) and "body" in WORLD[name] else WORLD[name]
            keyring.hold(body.encode() if isinstance(body, str) else json.dumps(body).encode())
            assert [f"{one.serial_number:X}" for one in keyring.certificates] == [WORLD["platform"]["serial_no"]]


def test_what_is_sealed_opens_with_the_private_key() -> None:
    keyring = Keyring(APIV3_KEY, public_key=public_pem(key("public")), public_key_id=PUBLIC_KEY_ID)
    sealed = sealing.seal(keyring, "张三")
    padding = OAEP(mgf=MGF1(SHA1()), algorithm=SHA1(), label=None)
    assert key("public").decrypt(b64decode(sealed.text), padding) == "张三".encode()
    assert sealed.serial == PUBLIC_KEY_ID
    assert sealed.text not in repr(sealed)
    for published in ("java-rsa",):
        case = vector(published)["oaep_cases"][0]
        assert len(b64decode(case["ciphertext"])) == len(b64decode(sealed.text))
