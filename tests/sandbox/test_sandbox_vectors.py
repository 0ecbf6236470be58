"""The sandbox's own cryptography against published vectors. No private key is needed: the texts must verify."""

import json
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from sandbox import keyring, sealing

FOLDER = Path(__file__).parent / "vectors"


def vector(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text())


OFFICIAL = vector("official-request-signatures")
END_TO_END = vector("sandbox-end-to-end")


@pytest.mark.parametrize("case", OFFICIAL["cases"], ids=lambda case: case["name"])
def test_published_request_signatures_verify(case: dict) -> None:
    key = load_pem_public_key(OFFICIAL["public_of_private_key_pkcs8_pem"].encode())
    moment, nonce = OFFICIAL["timestamp"], OFFICIAL["nonce_str"]
    text = sealing.request_text(case["method"], case["path"], moment, nonce, case["body"].encode())
    assert sealing.verifies(key, text, case["signature"])
    assert not sealing.verifies(key, text + b" ", case["signature"])
    assert not sealing.verifies(key, text, case["signature"][:-4])
    assert not sealing.verifies(key, text, "not base64!")


def test_published_response_signature_verifies() -> None:
    official = vector("official-response-signature")
    key = load_pem_public_key(official["wechatpay_public_key_pem"].encode())
    for case in official["cases"]:
        text = sealing.answer_text(case["timestamp"], case["nonce"], case["body"].encode())
        assert sealing.verifies(key, text, case["signature"])


def test_go_message_signature_verifies() -> None:
    go = vector("go-sign-verify")
    key = load_pem_public_key(go["public_key_pem"].encode())
    assert sealing.verifies(key, go["cases"][0]["message"].encode(), go["cases"][0]["signature"])
    assert not sealing.verifies(key, go["negative"][0]["message"].encode(), go["cases"][0]["signature"])


def test_a_whole_world_verifies() -> None:
    merchant = load_pem_public_key(END_TO_END["merchant"]["public_of_private_key_pem"].encode())
    asked = END_TO_END["request"]
    body = asked["body"].encode()
    text = sealing.request_text(asked["method"], asked["path"], asked["timestamp"], asked["nonce_str"], body)
    assert sealing.verifies(merchant, text, asked["signature"])
    platform = load_pem_public_key(END_TO_END["platform"]["public_of_private_key_pem"].encode())
    for name in ("response", "empty_204_response"):
        answer = END_TO_END[name]
        text = sealing.answer_text(answer["timestamp"], answer["nonce"], answer["body"].encode())
        assert sealing.verifies(platform, text, answer["signature"])


@pytest.mark.parametrize("name", ["java-aead", "axios-aead", "go-aead-short-key"])
def test_published_resources_are_sealed_alike(name: str) -> None:
    content = vector(name)
    for case in content["cases"]:
        sealed = sealing.seal(case["apiv3_key"], case["nonce"], case["associated_data"], case["plaintext"].encode())
        assert sealed == case["ciphertext"]


def test_sealed_notification_of_the_world_is_reproduced() -> None:
    notice = END_TO_END["pay_notification_public_key_mode"]
    resource = json.loads(notice["body"])["resource"]
    plaintext, key = notice["plaintext"].encode(), END_TO_END["apiv3_key"]
    assert sealing.seal(key, resource["nonce"], resource["associated_data"], plaintext) == resource["ciphertext"]


def test_our_own_keys_look_like_wechats(tmp_path: Path) -> None:
    keys = keyring.keep(tmp_path)
    again = keyring.keep(tmp_path)
    assert again.identity == keys.identity
    assert again.merchant_serial == keys.merchant_serial
    assert len(keys.merchant_serial) == len(keys.platform_serial) == 40
    assert keys.merchant_serial == keys.merchant_serial.upper()
    assert keys.identity.public_key_id.startswith("PUB_KEY_ID_00000000")
    assert len(keys.identity.public_key_id) == len(END_TO_END["platform"]["public_key_id"])
    assert len(keys.identity.apiv3_key) == 32
    assert keys.identity.app_id.startswith("wx0000")
    assert len(keys.identity.app_id) == 18
    certificate = load_pem_x509_certificate((tmp_path / "wechatpay_cert.pem").read_bytes())
    assert "CN=Tenpay.com sign" in certificate.subject.rfc4514_string()
    assert (tmp_path / "merchant_key.pem").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")


def test_sign_and_seal_are_undone_by_the_other_side(tmp_path: Path) -> None:
    keys = keyring.keep(tmp_path)
    assert sealing.verifies(keys.public_key.public_key(), b"text", sealing.sign(keys.public_key, b"text"))
    assert not sealing.verifies(keys.platform.public_key(), b"text", sealing.sign(keys.public_key, b"text"))
    with pytest.raises(InvalidTag):
        AESGCM(b"0" * 32).decrypt(b"0" * 12, b"x" * 32, b"")
