"""Encrypted members: the key that was named, the echo that proves a merchant's set-up, refunds to a card."""

import json
from base64 import b64decode, b64encode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
ECHO = "/v3/security/echo"
REFUNDS = "/v3/refund/domestic/refunds"


def sealed(box, text: str) -> str:
    key = load_pem_public_key((box.folder / "wechatpay_public_key.pem").read_bytes())
    return b64encode(key.encrypt(text.encode(), OAEP)).decode()


def echo(box, body: dict, serial: str | None = None):
    named = {"Wechatpay_Serial": serial or box.env["WECHAT_PAY_PUBLIC_KEY_ID"]} if serial != "" else {}
    return box.pay_api("POST", ECHO, body, **named)


def test_the_echo_comes_back_twice(box, inbox) -> None:
    answer = echo(box, {"echo_message": "喂", "encrypted_echo_message": sealed(box, "secret"), "notify_url": inbox.url})
    assert box.genuine(answer.headers, answer.content)
    content = answer.json()
    assert content["echo_message"] == "喂"
    assert box.key.decrypt(b64decode(content["encrypted_echo_message"]), OAEP) == b"secret"
    headers, body = inbox.wait(1)[0]
    assert box.genuine(headers, body)
    envelope = json.loads(body)
    resource = envelope["resource"]
    assert (envelope["event_type"], resource["original_type"]) == ("SECURITY_ECHO.SUCCESS", "security")
    cipher = AESGCM(box.env["WECHAT_PAY_APIV3_KEY"].encode())
    plain = cipher.decrypt(resource["nonce"].encode(), b64decode(resource["ciphertext"]), b"security")
    told = json.loads(plain)
    assert told["echo_message"] == "喂"
    assert box.key.decrypt(b64decode(told["encrypt_echo_message"]), OAEP) == b"secret"


def test_the_key_must_be_named_and_be_ours(box) -> None:
    body = {"echo_message": "1", "encrypted_echo_message": sealed(box, "2")}
    assert "缺少" in echo(box, body, "").json()["message"]
    platform = load_pem_x509_certificate((box.folder / "wechatpay_cert.pem").read_bytes())
    for serial in ("PUB_KEY_ID_0119000011092026010100111122003344", f"{platform.serial_number:X}"):
        response = echo(box, body, serial)  # a public-key merchant has no certificate
        assert (response.status_code, response.json()["code"]) == (400, "PARAM_ERROR")
        assert "Wechatpay-Serial错误" in response.json()["message"]


def test_real_names_need_a_permission_nobody_has_here(box) -> None:
    identity = {"type": "IDCARD", "number": sealed(box, "110"), "name": sealed(box, "张三")}
    form = box.form(payer={"openid": box.openid(), "identity": identity})
    named = {"Wechatpay_Serial": box.env["WECHAT_PAY_PUBLIC_KEY_ID"]}
    response = box.pay_api("POST", "/v3/pay/transactions/jsapi", form, **named)
    assert (response.status_code, response.json()["code"]) == (403, "NO_AUTH")


@pytest.mark.parametrize("value", ["plain text", "AAAA", b64encode(b"x" * 256).decode()])
def test_what_does_not_open_is_refused(box, value) -> None:
    response = echo(box, {"echo_message": "1", "encrypted_echo_message": value})
    assert (response.status_code, response.json()["code"]) == (400, "PARAM_ERROR")


def test_an_abnormal_refund_goes_to_a_card(box, inbox) -> None:
    box.lever("settings", {"refund_delay_s": 3600})
    refund = box.refund(box.paid(), 1000, notify_url=inbox.url).json()
    target = f"{REFUNDS}/{refund['refund_id']}/apply-abnormal-refund"
    form = {"out_refund_no": refund["out_refund_no"], "type": "MERCHANT_BANK_CARD"}
    early = box.pay_api("POST", target, form)
    assert (early.status_code, early.json()["code"]) == (400, "INVALID_REQUEST")
    box.lever(f"refunds/{refund['out_refund_no']}/state", {"status": "ABNORMAL"})
    inbox.wait(1)
    to_user = form | {"type": "USER_BANK_CARD"}
    assert box.pay_api("POST", target, to_user).json()["code"] == "PARAM_ERROR"
    to_user |= {"bank_type": "ICBC_DEBIT", "bank_account": sealed(box, "6222"), "real_name": sealed(box, "张三")}
    assert "缺少" in box.pay_api("POST", target, to_user).json()["message"]
    named = {"Wechatpay_Serial": box.env["WECHAT_PAY_PUBLIC_KEY_ID"]}
    again = box.pay_api("POST", target, to_user, **named)
    assert (again.status_code, again.json()["status"]) == (200, "PROCESSING")
    box.lever("clock/advance", {"seconds": 3600})
    assert json.loads(inbox.wait(2)[1][1])["event_type"] == "REFUND.SUCCESS"
    wrong = box.pay_api("POST", target.replace(refund["refund_id"], "503" + "0" * 26), form)
    assert (wrong.status_code, wrong.json()["code"]) == (404, "RESOURCE_NOT_EXISTS")
