"""Profit sharing: frozen money is shared, unfrozen and given back; receivers hear of it, refunds wait for it."""

import hashlib
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
from test_sandbox_sdk import client

ROOT = "/v3/profitsharing"
STORE = "1900000110"
OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)


def number(letter: str = "P") -> str:
    return f"{letter}{os.getpid()}x{secrets.token_hex(6)}"


def sealed(box, text: str) -> str:
    key = load_pem_public_key(Path(box.env["WECHAT_PAY_PUBLIC_KEY"]).read_bytes())
    return b64encode(key.encrypt(text.encode(), OAEP)).decode()


def call(box, method: str, path: str, body: object = None):
    response = box.pay_api(method, f"{ROOT}{path}", body, Wechatpay_Serial=box.env["WECHAT_PAY_PUBLIC_KEY_ID"])
    assert response.status_code != 200 or box.genuine(response.headers, response.content)
    return response


def add_store(box, account: str = STORE) -> dict:
    body = {"appid": box.app_id, "type": "MERCHANT_ID", "account": account, "relation_type": "STORE"}
    response = call(box, "POST", "/receivers/add", body | {"name": sealed(box, "分店")})
    assert response.status_code == 200, response.text
    return response.json()


def paid(box, *, wait: bool = True, **changes: object) -> str:
    """A paid order of 42 yuan to be shared; its transaction_id."""
    order = box.paid(settle_info={"profit_sharing": True}, **changes)
    if wait:
        box.lever("clock/advance", {"seconds": 61})
    target = f"/v3/pay/transactions/out-trade-no/{order}?mchid={box.mch_id}"
    return box.pay_api("GET", target).json()["transaction_id"]


def receiver(fen: int, account: str = STORE, **changes: object) -> dict:
    return {"type": "MERCHANT_ID", "account": account, "amount": fen, "description": "分给门店"} | changes


def form(box, transaction_id: str, *receivers: dict, unfreeze: bool = False, **changes: object) -> dict:
    facts = {"appid": box.app_id, "transaction_id": transaction_id, "out_order_no": number()}
    return facts | {"receivers": list(receivers), "unfreeze_unsplit": unfreeze} | changes


def finished(box, share: dict) -> dict:
    box.lever("clock/advance", {"seconds": 2})
    found = call(box, "GET", f"/orders/{share['out_order_no']}?transaction_id={share['transaction_id']}").json()
    assert found["state"] == "FINISHED"
    return found


def unsplit(box, transaction_id: str) -> int:
    return call(box, "GET", f"/transactions/{transaction_id}/amounts").json()["unsplit_amount"]


def refund(box, transaction_id: str, fen: int):
    amount = {"refund": fen, "total": 4200, "currency": "CNY"}
    body = {"transaction_id": transaction_id, "out_refund_no": number("R"), "amount": amount}
    return box.pay_api("POST", "/v3/refund/domestic/refunds", body)


def test_shared_then_unfrozen(box) -> None:
    assert add_store(box)["account"] == STORE
    transaction_id = paid(box)
    assert unsplit(box, transaction_id) == 4200
    share = call(box, "POST", "/orders", form(box, transaction_id, receiver(1000))).json()
    assert (share["state"], share["receivers"][0]["result"]) == ("PROCESSING", "PENDING")
    found = finished(box, share)
    [got] = found["receivers"]
    assert (got["result"], got["amount"], "finish_time" in got, "fail_reason" in got) == ("SUCCESS", 1000, True, False)
    assert unsplit(box, transaction_id) == 3200
    rest = {"transaction_id": transaction_id, "out_order_no": number(), "description": "解冻全部剩余资金"}
    found = finished(box, call(box, "POST", "/orders/unfreeze", rest).json())
    assert [(each["account"], each["amount"]) for each in found["receivers"]] == [(box.mch_id, 3200)]
    assert unsplit(box, transaction_id) == 0
    again = call(box, "POST", "/orders/unfreeze", rest | {"out_order_no": number()})
    assert again.json()["code"] == "INVALID_REQUEST"
    assert call(box, "POST", "/orders/unfreeze", rest).status_code == 200  # the same once more


def test_sharing_and_unfreezing_in_one(box) -> None:
    add_store(box)
    transaction_id = paid(box)
    share = call(box, "POST", "/orders", form(box, transaction_id, receiver(200), unfreeze=True)).json()
    assert [each["amount"] for each in finished(box, share)["receivers"]] == [200, 4000]
    more = call(box, "POST", "/orders", form(box, transaction_id, receiver(1)))
    assert more.json()["code"] == "INVALID_REQUEST"


def test_rules(box) -> None:
    add_store(box)
    early = paid(box, wait=False)
    assert call(box, "POST", "/orders", form(box, early, receiver(1))).json()["code"] == "INVALID_REQUEST"
    box.lever("settings", {"share_wait_s": 0})
    assert call(box, "POST", "/orders", form(box, early, receiver(1261))).json()["code"] == "RULE_LIMIT"
    assert call(box, "POST", "/orders", form(box, early, receiver(4201))).json()["code"] == "NOT_ENOUGH"
    share = form(box, early, receiver(1260))
    assert call(box, "POST", "/orders", share).status_code == 200
    assert call(box, "POST", "/orders", share).status_code == 200
    changed = call(box, "POST", "/orders", share | {"receivers": [receiver(1)]})
    assert (changed.status_code, changed.json()["code"]) == (400, "INVALID_REQUEST")
    ordinary = box.paid()
    target = f"/v3/pay/transactions/out-trade-no/{ordinary}?mchid={box.mch_id}"
    unshared = box.pay_api("GET", target).json()["transaction_id"]
    assert call(box, "POST", "/orders", form(box, unshared, receiver(1))).json()["code"] == "INVALID_REQUEST"
    assert call(box, "POST", "/orders", form(box, "4200000000", receiver(1))).status_code == 404
    assert call(box, "POST", "/orders", form(box, early, receiver(1), receiver(1))).status_code == 400
    assert (
        call(box, "POST", "/orders", form(box, early, *[receiver(1, f"19{n:08d}") for n in range(51)])).status_code
        == 400
    )
    assert call(box, "GET", "/merchant-configs/1900000110").status_code == 403
    assert call(box, "GET", f"/orders/{share['out_order_no']}").status_code == 400


def test_at_most_fifty_requests(box) -> None:
    add_store(box)
    box.lever("settings", {"share_delay_s": 0})
    transaction_id = paid(box)
    for _ in range(50):
        assert call(box, "POST", "/orders", form(box, transaction_id, receiver(1))).status_code == 200
    assert call(box, "POST", "/orders", form(box, transaction_id, receiver(1))).status_code == 400
    assert unsplit(box, transaction_id) == 4150


def test_a_receiver_who_cannot_have_it(box) -> None:
    add_store(box)
    add_store(box, "1900000111")
    box.lever("sharing/accounts", {"account": "1900000111", "share_fails": "RECEIVER_HIGH_RISK"})
    transaction_id = paid(box)
    given = [receiver(100), receiver(200, "1900000111"), receiver(300, "1900000112")]
    found = finished(box, call(box, "POST", "/orders", form(box, transaction_id, *given)).json())
    assert [(each["result"], each.get("fail_reason")) for each in found["receivers"]] == [
        ("SUCCESS", None),
        ("CLOSED", "RECEIVER_HIGH_RISK"),
        ("CLOSED", "NO_RELATION"),
    ]
    assert unsplit(box, transaction_id) == 4100
    box.lever("sharing/accounts", {"account": "1900000111"})
    body = {"appid": box.app_id, "type": "MERCHANT_ID", "account": STORE}
    assert call(box, "POST", "/receivers/delete", body).json()["account"] == STORE
    found = finished(box, call(box, "POST", "/orders", form(box, transaction_id, receiver(1))).json())
    assert found["receivers"][0]["fail_reason"] == "NO_RELATION"


def test_shares_come_back_before_a_refund(box) -> None:
    add_store(box)
    transaction_id = paid(box)
    share = finished(box, call(box, "POST", "/orders", form(box, transaction_id, receiver(1000))).json())
    refused = refund(box, transaction_id, 100)
    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_REQUEST")
    back = {"out_order_no": share["out_order_no"], "out_return_no": number("B"), "return_mchid": STORE}
    back |= {"amount": 1000, "description": "用户退款"}
    assert call(box, "POST", "/return-orders", back | {"amount": 1001}).status_code == 400
    assert call(box, "POST", "/return-orders", back | {"return_mchid": "1900000111"}).status_code == 400
    assert call(box, "POST", "/return-orders", back | {"order_id": share["order_id"]}).status_code == 400
    box.lever("sharing/accounts", {"account": STORE, "return_fails": "BALANCE_NOT_ENOUGH"})
    assert call(box, "POST", "/return-orders", back).json()["result"] == "PROCESSING"
    assert returned(box, back)["fail_reason"] == "BALANCE_NOT_ENOUGH"
    box.lever("sharing/accounts", {"account": STORE})
    back["out_return_no"] = number("B")
    assert call(box, "POST", "/return-orders", back).status_code == 200
    assert call(box, "POST", "/return-orders", back | {"description": "x"}).status_code == 400
    assert (returned(box, back)["result"], unsplit(box, transaction_id)) == ("SUCCESS", 4200)
    assert refund(box, transaction_id, 4200).status_code == 200
    assert unsplit(box, transaction_id) == 0


def returned(box, back: dict) -> dict:
    box.lever("clock/advance", {"seconds": 2})
    return call(box, "GET", f"/return-orders/{back['out_return_no']}?out_order_no={back['out_order_no']}").json()


def test_a_refund_that_what_is_left_covers(box) -> None:
    add_store(box)
    box.lever("settings", {"shared_refund": "covered"})
    transaction_id = paid(box)
    finished(box, call(box, "POST", "/orders", form(box, transaction_id, receiver(1000))).json())
    assert refund(box, transaction_id, 3201).status_code == 400
    assert refund(box, transaction_id, 3200).status_code == 200


def test_after_thirty_days_it_is_free(new_box) -> None:
    box = new_box()
    add_store(box)
    transaction_id = paid(box)
    box.lever("clock/advance", {"seconds": 30 * 86400})
    assert unsplit(box, transaction_id) == 0
    assert call(box, "POST", "/orders", form(box, transaction_id, receiver(1))).status_code == 400


@pytest.mark.parametrize("event", ["PROFITSHARING.SUCCESS", "TRANSACTION.SUCCESS"])
def test_receivers_hear(box, inbox, event) -> None:
    add_store(box)
    box.lever("settings", {"share_notify_url": inbox.url, "share_event": event})
    transaction_id = paid(box)
    share = finished(box, call(box, "POST", "/orders", form(box, transaction_id, receiver(700))).json())
    [(headers, raw)] = inbox.wait(1)
    assert box.genuine(headers, raw)
    envelope = json.loads(raw)
    resource = envelope["resource"]
    assert (envelope["event_type"], resource["original_type"]) == (event, "profitsharing")
    cipher = AESGCM(box.env["WECHAT_PAY_APIV3_KEY"].encode())
    told = json.loads(cipher.decrypt(resource["nonce"].encode(), b64decode(resource["ciphertext"]), b"profitsharing"))
    assert (told["mchid"], told["order_id"]) == (box.mch_id, share["order_id"])
    assert told["receiver"] == receiver(700)
    assert told["success_time"] == share["receivers"][0]["finish_time"]


def test_names_are_sealed(box) -> None:
    store = {"appid": box.app_id, "type": "MERCHANT_ID", "account": STORE, "relation_type": "STORE"}
    assert call(box, "POST", "/receivers/add", store).json()["code"] == "PARAM_ERROR"
    assert call(box, "POST", "/receivers/add", store | {"name": "分店"}).json()["code"] == "PARAM_ERROR"
    custom = store | {"name": sealed(box, "分店"), "relation_type": "CUSTOM"}
    assert call(box, "POST", "/receivers/add", custom).json()["code"] == "PARAM_ERROR"
    assert call(box, "POST", "/receivers/add", custom | {"custom_relation": "代理商"}).status_code == 200
    person = {"appid": box.app_id, "type": "PERSONAL_OPENID", "account": box.openid("dan"), "relation_type": "STAFF"}
    assert call(box, "POST", "/receivers/add", person).status_code == 200
    assert call(box, "POST", "/receivers/add", person | {"type": "PERSONAL_SUB_OPENID"}).status_code == 400
    assert call(box, "POST", "/receivers/add", person | {"sub_mchid": "1900000111"}).status_code == 400
    transaction_id = paid(box)
    share = form(box, transaction_id, receiver(1, person["account"], type="PERSONAL_OPENID", name=sealed(box, "丹")))
    assert call(box, "POST", "/orders", share).status_code == 200
    share["receivers"][0]["name"] = sealed(box, "丹")  # other bytes, the same name
    assert call(box, "POST", "/orders", share).status_code == 200
    share["receivers"][0]["name"] = sealed(box, "单")
    assert call(box, "POST", "/orders", share).status_code == 400
    share["receivers"][0]["name"] = "not sealed"
    assert call(box, "POST", "/orders", share).json()["detail"]["field"] == "/receivers/0/name"


def test_the_package_shares(box) -> None:
    pay = client(box)
    assert pay.profitsharing_add_receiver("MERCHANT_ID", STORE, "STORE", name="分店")[0] == 200
    transaction_id, share, back = paid(box), number(), number("B")
    assert (
        pay.profitsharing_order(transaction_id, share, [receiver(500, name="分店")], unfreeze_unsplit=False)[0] == 200
    )
    box.lever("clock/advance", {"seconds": 2})
    assert json.loads(pay.profitsharing_order_query(transaction_id, share)[1])["state"] == "FINISHED"
    assert json.loads(pay.profitsharing_amount_query(transaction_id)[1])["unsplit_amount"] == 3700
    assert pay.profitsharing_return(back, STORE, 500, "退", out_order_no=share)[0] == 200
    box.lever("clock/advance", {"seconds": 2})
    assert json.loads(pay.profitsharing_return_query(share, back)[1])["result"] == "SUCCESS"
    assert pay.profitsharing_unfreeze(transaction_id, number(), "解冻")[0] == 200
    assert pay.profitsharing_delete_receiver("MERCHANT_ID", STORE)[0] == 200


def test_the_days_bill(new_box) -> None:
    box = new_box()
    add_store(box)
    transaction_id = paid(box)
    share = finished(
        box, call(box, "POST", "/orders", form(box, transaction_id, receiver(1000), receiver(7, "1900000112"))).json()
    )
    back = {"out_order_no": share["out_order_no"], "out_return_no": number("B"), "return_mchid": STORE}
    assert call(box, "POST", "/return-orders", back | {"amount": 400, "description": "a,b"}).status_code == 200
    day = returned(box, back)["finish_time"][:10]
    target = f"/bills?bill_date={day}"
    assert call(box, "GET", target).json()["code"] == "INVALID_REQUEST"
    box.lever(f"bills/{day}/publish")
    told = call(box, "GET", target).json()
    file = box.pay_api("GET", told["download_url"].removeprefix(box.url))
    assert hashlib.sha1(file.content).hexdigest() == told["hash_value"]
    head, *rows, summary, totals, end = file.content.decode("utf-8-sig").split("\r\n")
    assert {len(row.split(",`")) for row in rows} == {len(head.split(","))} == {14}
    states = [row.split(",`")[9:12] for row in rows]
    assert states == [["10.00", "分账", "SUCCESS"], ["0.07", "分账", "CLOSED"], ["4.00", "分账回退", "SUCCESS"]]
    assert (summary.count(","), totals, end) == (2, "`3,`10.00,`4.00", "")
    zipped = client(box).profitsharing_bill(day)
    assert (zipped[0], "tartype=gzip" in zipped[1]) == (200, True)
