"""Transfers to a user: ordered, confirmed on the phone, cancelled, overdue; and what is refused."""

import asyncio
import hashlib
import itertools
import json
import os
import secrets
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from test_sandbox_sdk import client, settings
from wechatpayv3.async_ import AsyncWeChatPay
from wechatpayv3.async_ import WeChatPayType as AsyncType

ROOT = "/v3/fund-app/mch-transfer/transfer-bills"
OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
REPORT = [{"info_type": "岗位类型", "info_content": "外卖员"}, {"info_type": "报酬说明", "info_content": "高温补贴"}]
_number = itertools.count(1)


def form(box, fen: int = 100, **changes: object) -> dict:
    return {
        "appid": box.app_id,
        "out_bill_no": f"B{os.getpid()}x{next(_number)}x{secrets.token_hex(4)}",
        "transfer_scene_id": "1005",
        "openid": box.openid("courier"),
        "transfer_amount": fen,
        "transfer_remark": "八月补贴",
        "transfer_scene_report_infos": REPORT,
    } | changes


def named(box, body: dict, name: str = "张三", **headers: str):
    key = load_pem_public_key(Path(box.env["WECHAT_PAY_PUBLIC_KEY"]).read_bytes())
    sealed = b64encode(key.encrypt(name.encode(), OAEP)).decode()
    headers = headers or {"Wechatpay_Serial": box.env["WECHAT_PAY_PUBLIC_KEY_ID"]}
    return box.pay_api("POST", ROOT, body | {"user_name": sealed}, **headers)


def ordered(box, fen: int = 100, **changes: object) -> dict:
    response = box.pay_api("POST", ROOT, form(box, fen, **changes))
    assert response.status_code == 200, response.text
    assert box.genuine(response.headers, response.content)
    return response.json()


def query(box, number: str) -> dict:
    response = box.pay_api("GET", f"{ROOT}/out-bill-no/{number}")
    assert box.genuine(response.headers, response.content)
    return response.json()


def opened(box, raw: bytes) -> dict:
    sealed = json.loads(raw)["resource"]
    cipher = AESGCM(box.env["WECHAT_PAY_APIV3_KEY"].encode())
    aad = sealed["associated_data"].encode()
    return json.loads(cipher.decrypt(sealed["nonce"].encode(), b64decode(sealed["ciphertext"]), aad))


def until(box, number: str, state: str) -> dict:
    """Business time moves on until the state is there."""
    for _ in range(5):
        if (found := query(box, number))["state"] == state:
            return found
        box.lever("clock/advance", {"seconds": 1})
    raise AssertionError(found)


def test_the_user_confirms_and_the_merchant_hears(box, inbox) -> None:
    bill = ordered(box, notify_url=inbox.url)
    number = bill["out_bill_no"]
    assert (bill["state"], len(bill["transfer_bill_no"])) == ("WAIT_USER_CONFIRM", 40)
    assert "package_info" not in query(box, number)
    taken = {"package_info": bill["package_info"], "openid": box.openid("courier")}
    assert box.lever(f"transfers/{number}/confirm", taken)["state"] == "TRANSFERING"
    found = until(box, number, "SUCCESS")
    by_bill = box.pay_api("GET", f"{ROOT}/transfer-bill-no/{bill['transfer_bill_no']}").json()
    assert by_bill == found
    [(headers, raw)] = inbox.wait(1)
    assert box.genuine(headers, raw)
    envelope = json.loads(raw)
    assert (envelope["event_type"], envelope["resource"]["original_type"]) == (
        "MCHTRANSFER.BILL.FINISHED",
        "mch_payment",
    )
    told = opened(box, raw)
    assert told == {name: found[name] for name in told}
    assert (told["mch_id"], told["state"], told["transfer_amount"]) == (box.mch_id, "SUCCESS", 100)
    assert "fail_reason" not in told
    assert box.http.post(f"/_sandbox/transfers/{number}/confirm").status_code == 409
    assert box.pay_api("POST", f"{ROOT}/out-bill-no/{number}/cancel").json()["code"] == "INVALID_REQUEST"


def test_the_same_number_again(box) -> None:
    body = form(box, 50)
    first = named(box, body).json()
    again = named(box, body).json()
    assert again == first
    other = named(box, body, "李四")
    assert (other.status_code, other.json()["code"]) == (400, "INVALID_REQUEST")
    dearer = box.pay_api("POST", ROOT, body | {"transfer_amount": 51})
    assert (dearer.status_code, dearer.json()["code"]) == (400, "INVALID_REQUEST")
    assert query(box, body["out_bill_no"])["transfer_amount"] == 50


def test_the_name_is_sealed_both_ways(box) -> None:
    body = form(box, 200_000)
    assert "收款用户姓名必填" in box.pay_api("POST", ROOT, body).json()["message"]
    response = named(box, body)
    assert response.status_code == 200, response.text
    assert box.key.decrypt(b64decode(query(box, body["out_bill_no"])["user_name"]), OAEP).decode() == "张三"
    assert named(box, form(box, 29)).json()["code"] == "PARAM_ERROR"
    assert named(box, form(box, 30), Accept="*/*").json()["code"] == "PARAM_ERROR"  # no Wechatpay-Serial
    assert box.pay_api("POST", ROOT, form(box, 100, user_name="张三")).status_code == 400
    assert all("user_name" not in item for item in box.look("transfers")["items"])


def test_cancelled_before_the_user_takes_it(box, inbox) -> None:
    number = ordered(box, notify_url=inbox.url)["out_bill_no"]
    target = f"{ROOT}/out-bill-no/{number}/cancel"
    for body in (b"null", b"{}"):
        assert box.pay_api("POST", target, body).json()["code"] == "PARAM_ERROR"
    assert box.pay_api("POST", target).json()["state"] == "CANCELING"
    assert box.http.post(f"/_sandbox/transfers/{number}/confirm").status_code == 409
    assert until(box, number, "CANCELLED")["state"] == "CANCELLED"
    assert box.pay_api("POST", target).json()["state"] == "CANCELLED"
    assert opened(box, inbox.wait(1)[0][1])["state"] == "CANCELLED"


def test_nobody_confirms_for_a_day(new_box, inbox) -> None:
    box = new_box()
    number = ordered(box, notify_url=inbox.url)["out_bill_no"]
    assert box.lever(f"transfers/{number}/refuse")["state"] == "WAIT_USER_CONFIRM"
    box.lever("clock/advance", {"seconds": 86_399 - 30})
    assert query(box, number)["state"] == "WAIT_USER_CONFIRM"
    box.lever("clock/advance", {"seconds": 3600})
    found = query(box, number)
    assert (found["state"], found["fail_reason"]) == ("FAIL", "OVERDUE_CLOSE")
    told = opened(box, inbox.wait(1)[0][1])
    assert (told["state"], told["fail_reason"]) == ("FAIL", "OVERDUE_CLOSE")


def test_too_little_money_waits(new_box) -> None:
    box = new_box()
    box.lever("merchant/balance", {"fen": 150})
    first, second = (form(box, 100) for _ in range(2))
    assert box.pay_api("POST", ROOT, first).json()["state"] == "WAIT_USER_CONFIRM"
    answer = box.pay_api("POST", ROOT, second).json()
    assert (answer["state"], "package_info" in answer) == ("PROCESSING", False)
    assert box.pay_api("POST", f"{ROOT}/out-bill-no/{first['out_bill_no']}/cancel").status_code == 200
    until(box, first["out_bill_no"], "CANCELLED")
    until(box, second["out_bill_no"], "WAIT_USER_CONFIRM")
    box.lever(f"transfers/{second['out_bill_no']}/confirm")
    until(box, second["out_bill_no"], "SUCCESS")
    assert box.look("settings")["balance_fen"] == 50


def test_it_fails_for_a_reason(box, inbox) -> None:
    number = ordered(box, notify_url=inbox.url)["out_bill_no"]
    assert box.http.post(f"/_sandbox/transfers/{number}/fail", json={"reason": "NO_SUCH"}).status_code == 400
    box.lever(f"transfers/{number}/fail", {"reason": "NAME_NOT_CORRECT"})
    assert opened(box, inbox.wait(1)[0][1])["fail_reason"] == "NAME_NOT_CORRECT"
    assert box.http.post("/_sandbox/transfers/nobody/confirm").status_code == 404
    box.lever("users", {"user": "gone", "account_closed": True})
    gone = ordered(box, openid=box.openid("gone"))
    assert (gone["state"], query(box, gone["out_bill_no"])["fail_reason"]) == ("FAIL", "PAYEE_ACCOUNT_ABNORMAL")


def test_slow_acceptance(box) -> None:
    box.lever("settings", {"transfer_accept_s": 3})
    bill = ordered(box)
    assert (bill["state"], "package_info" in bill) == ("ACCEPTED", False)
    assert until(box, bill["out_bill_no"], "WAIT_USER_CONFIRM")


def test_a_receipt(box) -> None:
    pay, number = client(box), ordered(box)["out_bill_no"]
    assert pay.mch_transfer_elecsign(out_bill_no=number)[0] == 400  # not yet
    box.lever(f"transfers/{number}/confirm")
    bill = until(box, number, "SUCCESS")["transfer_bill_no"]
    assert json.loads(pay.mch_transfer_elecsign(transfer_bill_no=bill)[1])["state"] == "GENERATING"
    box.lever("clock/advance", {"seconds": 2})
    assert pay.mch_transfer_elecsign(out_bill_no=number)[0] == 200
    told = json.loads(pay.mch_transfer_elecsign_query(out_bill_no=number)[1])
    assert told["state"] == json.loads(pay.mch_transfer_elecsign_query(transfer_bill_no=bill)[1])["state"] == "FINISHED"
    told = json.loads(pay.mch_transfer_elecsign_query(out_bill_no=number)[1])
    file = box.pay_api("GET", told["download_url"].removeprefix(box.url))
    assert hashlib.sha256(file.content).hexdigest() == told["hash_value"]
    assert (file.content.startswith(b"%PDF-1.4"), number.encode() in file.content) == (True, True)
    assert "wechatpay-signature" not in file.headers
    box.lever("clock/advance", {"seconds": 601})
    assert box.pay_api("GET", told["download_url"].removeprefix(box.url)).status_code == 400


def test_a_lost_answer(box) -> None:
    body = form(box)
    box.lever("faults", {"path": "/v3/fund-app/", "effect": "500_after"})
    assert box.pay_api("POST", ROOT, body).status_code == 500
    assert query(box, body["out_bill_no"])["state"] == "WAIT_USER_CONFIRM"
    again = box.pay_api("POST", ROOT, body)
    assert (again.status_code, "package_info" in again.json()) == (200, True)
    box.lever("faults", {"path": "/v3/fund-app/.*/cancel", "effect": "unsigned"})
    unsigned = box.pay_api("POST", f"{ROOT}/out-bill-no/{body['out_bill_no']}/cancel")
    assert "wechatpay-signature" not in unsigned.headers


def test_an_unknown_bill(box) -> None:
    for target in ("out-bill-no/nobody", "transfer-bill-no/1330000"):
        response = box.pay_api("GET", f"{ROOT}/{target}")
        assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")
    assert box.pay_api("POST", f"{ROOT}/out-bill-no/nobody/cancel").status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"out_bill_no": "B-1"},
        {"transfer_scene_id": "9999"},
        {"transfer_scene_report_infos": REPORT[:1]},
        {"transfer_scene_report_infos": [*REPORT, {"info_type": "活动名称", "info_content": "x"}]},
        {"transfer_scene_report_infos": []},
        {"openid": "oNobodyHasThisOpenid00000000"},
        {"appid": "wx0000000000000000"},
        {"transfer_amount": 0},
        {"transfer_amount": "100"},
        {"transfer_remark": "三十三个字节" * 2},
        {"notify_url": None},
        {"mchid": "1900000001"},
        {"user_recv_style": {"type": "ENVELOPE"}},
    ],
)
def test_refused(box, change) -> None:
    body = form(box) | change
    assert box.pay_api("POST", ROOT, body).status_code == 400
    assert box.pay_api("GET", f"{ROOT}/out-bill-no/{body['out_bill_no']}").status_code == 404


def test_the_package_transfers(box) -> None:
    pay = client(box)
    body = form(box)
    facts = {name: value for name, value in body.items() if name != "appid"}
    status, text = pay.mch_transfer_bills(**facts, user_name="张三")
    assert (status, json.loads(text)["state"]) == (200, "WAIT_USER_CONFIRM")
    assert json.loads(pay.mch_transfer_bills_query(out_bill_no=body["out_bill_no"])[1])["transfer_amount"] == 100
    assert pay.mch_transfer_bills_cancel(body["out_bill_no"])[0] == 200


def test_defects_of_the_package(box) -> None:
    """Without a notify URL it sends null; the async one cancels with the four bytes ``null`` but signs nothing."""
    bare = client(box, notify_url=None)
    facts = {name: value for name, value in form(box).items() if name != "appid"}
    assert bare.mch_transfer_bills(**facts)[0] == 400

    async def cancel() -> int:
        pay = AsyncWeChatPay(**settings(box, wechatpay_type=AsyncType.MINIPROG))
        pay._core._gate_way = box.url
        async with pay:
            return (await pay.mch_transfer_bills_cancel(ordered(box)["out_bill_no"]))[0]

    assert asyncio.run(cancel()) == 401
