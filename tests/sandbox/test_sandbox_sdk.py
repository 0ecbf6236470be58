"""``wechatpayv3``, unmodified but for its gateway's address, lives in this world; and its known defects are seen."""

import asyncio
import json
from base64 import b64decode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.async_ import AsyncWeChatPay
from wechatpayv3.async_ import WeChatPayType as AsyncType


def settings(box, **changes: object) -> dict:
    facts = {
        "wechatpay_type": WeChatPayType.MINIPROG,
        "mchid": box.mch_id,
        "private_key": Path(box.env["WECHAT_PAY_PRIVATE_KEY"]).read_text(),
        "cert_serial_no": box.env["WECHAT_PAY_CERT_SERIAL"],
        "appid": box.app_id,
        "apiv3_key": box.env["WECHAT_PAY_APIV3_KEY"],
        "notify_url": "http://127.0.0.1:9/nobody",
        "public_key": Path(box.env["WECHAT_PAY_PUBLIC_KEY"]).read_text(),
        "public_key_id": box.env["WECHAT_PAY_PUBLIC_KEY_ID"],
    }
    return facts | changes


def client(box, **changes: object) -> WeChatPay:
    made = WeChatPay(**settings(box, **changes))
    made._core._gate_way = box.url
    return made


def test_sync_from_prepay_to_refund(box) -> None:
    pay = client(box)
    number = box.form()["out_trade_no"]
    status, text = pay.pay("手冲咖啡 x2", number, {"total": 4200}, payer={"openid": box.openid()})
    assert status == 200
    prepay_id = json.loads(text)["prepay_id"]
    assert pay.sign([box.app_id, "1767225600", "nonce", f"prepay_id={prepay_id}"])
    assert json.loads(pay.query(out_trade_no=number)[1])["trade_state"] == "NOTPAY"
    transaction_id = box.lever(f"prepay/{prepay_id}/pay")["transaction_id"]
    assert json.loads(pay.query(transaction_id=transaction_id)[1])["trade_state"] == "SUCCESS"
    assert pay.close(number)[0] == 400
    amount = {"refund": 100, "total": 4200, "currency": "CNY"}
    assert pay.refund(f"R{number}", amount, out_trade_no=number)[0] == 200
    assert json.loads(pay.query_refund(f"R{number}")[1])["amount"]["refund"] == 100
    unpaid = box.ordered()
    assert pay.close(unpaid)[0] == 204


def test_async_from_prepay_to_refund(box) -> None:
    async def purchase() -> None:
        pay = AsyncWeChatPay(**settings(box, wechatpay_type=AsyncType.MINIPROG))
        pay._core._gate_way = box.url
        async with pay:
            number = box.form()["out_trade_no"]
            status, text = await pay.pay("手冲咖啡 x2", number, {"total": 4200}, payer={"openid": box.openid()})
            assert (status, "prepay_id" in text) == (200, True)
            assert json.loads((await pay.query(out_trade_no=number))[1])["trade_state"] == "NOTPAY"
            box.lever(f"payments/{number}/pay")
            amount = {"refund": 100, "total": 4200, "currency": "CNY"}
            assert (await pay.refund(f"R{number}", amount, out_trade_no=number))[0] == 200
            assert (await pay.query_refund(f"R{number}"))[0] == 200
            assert (await pay.close(box.ordered()))[0] == 204

    asyncio.run(purchase())


@pytest.mark.parametrize(
    ("product", "more", "member"),
    [
        (WeChatPayType.NATIVE, {}, "code_url"),
        (WeChatPayType.APP, {}, "prepay_id"),
        (
            WeChatPayType.H5,
            {"scene_info": {"payer_client_ip": "203.0.113.9", "h5_info": {"type": "Wap"}}},
            "h5_url",
        ),
    ],
)
def test_other_products(box, product, more, member) -> None:
    number = box.form()["out_trade_no"]
    status, text = client(box).pay("咖啡", number, {"total": 1}, pay_type=product, **more)
    assert (status, member in json.loads(text)) == (200, True)


def test_a_public_key_merchant_has_no_certificates(box) -> None:
    response = box.pay_api("GET", "/v3/certificates")
    assert (response.status_code, response.json()["code"]) == (404, "RESOURCE_NOT_EXISTS")
    assert "无可用的平台证书" in response.json()["message"]


def test_certificates_open_with_the_apiv3_key(new_box) -> None:
    box = new_box("--key-mode", "certificate")
    response = box.pay_api("GET", "/v3/certificates")
    assert box.genuine(response.headers, response.content)
    entry = response.json()["data"][0]
    sealed = entry["encrypt_certificate"]
    assert (sealed["algorithm"], sealed["associated_data"]) == ("AEAD_AES_256_GCM", "certificate")
    cipher = AESGCM(box.env["WECHAT_PAY_APIV3_KEY"].encode())

    pem = cipher.decrypt(sealed["nonce"].encode(), b64decode(sealed["ciphertext"]), b"certificate")
    assert pem == (box.folder / "wechatpay_cert.pem").read_bytes()
    assert response.headers["wechatpay-serial"] == entry["serial_no"]


def test_certificate_mode_with_the_package(new_box, tmp_path) -> None:
    box = new_box("--key-mode", "certificate")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "p.pem").write_bytes((box.folder / "wechatpay_cert.pem").read_bytes())
    pay = client(box, cert_dir=str(tmp_path / "c"), public_key=None, public_key_id=None)
    number = box.form()["out_trade_no"]
    assert pay.pay("咖啡", number, {"total": 1}, payer={"openid": box.openid()})[0] == 200
    assert pay.query(out_trade_no=number)[0] == 200


def test_certificates_change_while_clients_live(new_box, inbox, tmp_path) -> None:
    """First two are valid, then the old one is not: a client that refreshes on an unknown serial lives on."""
    box = new_box("--key-mode", "certificate")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "p.pem").write_bytes((box.folder / "wechatpay_cert.pem").read_bytes())
    pay = client(box, cert_dir=str(tmp_path / "c"), public_key=None, public_key_id=None)
    number = box.ordered(inbox.url)
    target = f"/v3/pay/transactions/out-trade-no/{number}?mchid={box.mch_id}"
    (old,) = box.look("certificates")["serials"]
    new, beside = box.lever("certificates/rotate")["serials"]
    assert beside == old
    assert box.http.post("/_sandbox/certificates/rotate").status_code == 409
    entries = box.pay_api("GET", "/v3/certificates").json()["data"]
    assert [entry["serial_no"] for entry in entries] == [new, old]
    assert entries[0]["effective_time"] > entries[1]["effective_time"]
    assert box.pay_api("GET", target, Wechatpay_Serial=old).headers["wechatpay-serial"] == old
    assert box.pay_api("GET", target).headers["wechatpay-serial"] == new
    assert pay.query(out_trade_no=number)[0] == 200, "it has fetched the new one"
    box.stop()
    box.start()
    assert box.look("certificates")["serials"] == [new, old], "kept over a restart"
    assert box.lever("certificates/retire")["serials"] == [new]
    assert box.http.post("/_sandbox/certificates/retire").status_code == 409
    assert box.pay_api("GET", target, Wechatpay_Serial=old).headers["wechatpay-serial"] == new
    box.lever(f"payments/{number}/pay")
    ((headers, body),) = inbox.wait(1)
    assert headers["wechatpay-serial"] == new
    assert box.genuine(headers, body)
    assert pay.callback(headers, body.decode())["resource"]["out_trade_no"] == number


def test_answers_follow_the_serial_that_was_asked_for(new_box) -> None:
    box = new_box("--key-mode", "both")
    target = f"/v3/pay/transactions/out-trade-no/{box.ordered()}?mchid={box.mch_id}"
    public_key_id = box.env["WECHAT_PAY_PUBLIC_KEY_ID"]
    wanted = box.pay_api("GET", target, Wechatpay_Serial=public_key_id)
    assert wanted.headers["wechatpay-serial"] == public_key_id
    assert box.genuine(wanted.headers, wanted.content)
    default = box.pay_api("GET", target)
    assert len(default.headers["wechatpay-serial"]) == 40
    assert box.genuine(default.headers, default.content)


def test_the_package_refuses_a_wrongly_signed_answer(box) -> None:
    number = box.ordered()
    box.lever("faults", {"path": "/v3/", "effect": "bad_response_signature"})
    with pytest.raises(Exception, match=r"(?i)sign|verif|验"):
        client(box).query(out_trade_no=number)
    box.lever("faults", {"path": "/v3/", "effect": "unsigned"})
    with pytest.raises(Exception, match="algorithm"):
        client(box).query(out_trade_no=number)
    assert client(box).query(out_trade_no=number)[0] == 200


def test_defect_of_the_sync_package_with_a_pipe_in_the_path(box) -> None:
    """It signs ``|`` and sends ``%7C``: seen as a wrong signature, so that an upgrade which mends it is noticed."""
    assert client(box).query(out_trade_no="A|B123")[0] == 401
    assert "before percent-encoding" in box.look("signature-failures")["items"][0]["hint"]
