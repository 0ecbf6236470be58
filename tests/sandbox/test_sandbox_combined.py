"""Combined payment: one tap, several sub-orders, all or nothing."""

import itertools
import json
import os
import secrets
from base64 import b64decode

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from test_sandbox_sdk import client
from wechatpayv3 import WeChatPayType

ROOT = "/v3/combine-transactions"
_number = itertools.count(1)


def fresh(letter: str) -> str:
    return f"{letter}{os.getpid()}x{next(_number)}x{secrets.token_hex(4)}"


def part(box, fen: int, **changes: object) -> dict:
    facts = {"mchid": box.mch_id, "attach": "shop=7", "amount": {"total_amount": fen, "currency": "CNY"}}
    return facts | {"out_trade_no": fresh("S"), "description": "手冲咖啡"} | changes


def form(box, *fens: int, notify_url: str = "http://127.0.0.1:9/nobody", **changes: object) -> dict:
    return {
        "combine_appid": box.app_id,
        "combine_mchid": box.mch_id,
        "combine_out_trade_no": fresh("C"),
        "sub_orders": [part(box, fen) for fen in fens or (1000, 2500)],
        "notify_url": notify_url,
        "combine_payer_info": {"openid": box.openid()},
    } | changes


def placed(box, *fens: int, **changes: object) -> dict:
    body = form(box, *fens, **changes)
    response = box.pay_api("POST", f"{ROOT}/jsapi", body)
    assert response.status_code == 200, response.text
    return body | response.json()


def query(box, body: dict) -> dict:
    response = box.pay_api("GET", f"{ROOT}/out-trade-no/{body['combine_out_trade_no']}")
    assert box.genuine(response.headers, response.content)
    return response.json()


def close(box, body: dict, numbers: list[str] | None = None):
    given = numbers or [each["out_trade_no"] for each in body["sub_orders"]]
    content = {
        "combine_appid": box.app_id,
        "sub_orders": [{"mchid": box.mch_id, "out_trade_no": each} for each in given],
    }
    return box.pay_api("POST", f"{ROOT}/out-trade-no/{body['combine_out_trade_no']}/close", content)


def test_one_tap_pays_all_and_one_notice_tells_of_it(box, inbox) -> None:
    body = placed(box, notify_url=inbox.url)
    before = query(box, body)
    assert [each["trade_state"] for each in before["sub_orders"]] == ["NOTPAY", "NOTPAY"]
    assert "transaction_id" not in before["sub_orders"][0]
    assert "combine_payer_info" not in before
    shown = [each for each in box.look("payments?state=NOTPAY")["items"] if each["prepay_id"] == body["prepay_id"]]
    assert [(each["amount"], len(each["sub_orders"])) for each in shown] == [(3500, 2)]
    box.lever(f"prepay/{body['prepay_id']}/pay")
    [(headers, raw)] = inbox.wait(1)
    assert box.genuine(headers, raw)
    notice = json.loads(raw)
    assert (notice["event_type"], notice["resource"]["original_type"]) == ("TRANSACTION.SUCCESS", "transaction")
    sealed = notice["resource"]
    cipher = AESGCM(box.env["WECHAT_PAY_APIV3_KEY"].encode())
    told = json.loads(cipher.decrypt(sealed["nonce"].encode(), b64decode(sealed["ciphertext"]), b"transaction"))
    assert told == query(box, body)
    assert told["combine_out_trade_no"] == body["combine_out_trade_no"]
    assert told["combine_payer_info"] == body["combine_payer_info"]
    for given, paid in zip(body["sub_orders"], told["sub_orders"], strict=True):
        fen = given["amount"]["total_amount"]
        money = {"total_amount": fen, "currency": "CNY", "payer_amount": fen, "payer_currency": "CNY"}
        assert (paid["amount"], paid["attach"], paid["trade_state"]) == (money, "shop=7", "SUCCESS")
        assert len(paid["transaction_id"]) == 28
    again = box.http.post(f"/_sandbox/payments/{body['combine_out_trade_no']}/pay")
    assert again.status_code == 409
    assert close(box, body).json()["code"] == "ORDERPAID"
    assert box.pay_api("POST", f"{ROOT}/jsapi", form(box, **_asked(body))).json()["code"] == "ORDERPAID"


def _asked(body: dict) -> dict:
    return {name: value for name, value in body.items() if name != "prepay_id"}


def test_sub_orders_are_no_ordinary_orders(box) -> None:
    body = placed(box)
    number = body["sub_orders"][0]["out_trade_no"]
    target = f"/v3/pay/transactions/out-trade-no/{number}"
    assert box.pay_api("GET", f"{target}?mchid={box.mch_id}").status_code == 404
    assert box.pay_api("POST", f"{target}/close", {"mchid": box.mch_id}).status_code == 404
    assert box.http.post(f"/_sandbox/payments/{number}/pay").status_code == 404
    box.lever(f"payments/{body['combine_out_trade_no']}/pay")
    transaction_id = query(box, body)["sub_orders"][0]["transaction_id"]
    response = box.pay_api("GET", f"/v3/pay/transactions/id/{transaction_id}?mchid={box.mch_id}")
    assert (response.status_code, response.json()["code"]) == (404, "ORDER_NOT_EXIST")


def test_each_sub_order_is_refunded_by_itself(box, inbox) -> None:
    body = placed(box)
    box.lever(f"payments/{body['combine_out_trade_no']}/pay", {"coupon_fen": 351})
    first, second = query(box, body)["sub_orders"]
    assert [each["total_amount"] - each["payer_amount"] for each in (first["amount"], second["amount"])] == [100, 251]
    amount = {"refund": 1000, "total": 1000, "currency": "CNY"}
    content = {"transaction_id": first["transaction_id"], "out_refund_no": fresh("R"), "amount": amount}
    response = box.pay_api("POST", "/v3/refund/domestic/refunds", content | {"notify_url": inbox.url})
    assert response.status_code == 200, response.text
    assert (response.json()["out_trade_no"], response.json()["amount"]["payer_refund"]) == (first["out_trade_no"], 900)
    too_much = content | {"out_refund_no": fresh("R"), "transaction_id": second["transaction_id"]}
    assert box.pay_api("POST", "/v3/refund/domestic/refunds", too_much).status_code == 400
    inbox.wait(1)
    assert [each["trade_state"] for each in query(box, body)["sub_orders"]] == ["REFUND", "SUCCESS"]


def test_closing_names_exactly_the_sub_orders(box) -> None:
    body = placed(box, 100, 200, 300)
    numbers = [each["out_trade_no"] for each in body["sub_orders"]]
    for wrong in (numbers[:2], [*numbers[:2], "T-other-1"], [*numbers, numbers[0]]):
        assert close(box, body, wrong).json()["code"] == "INVALID_REQUEST"
    for _ in range(2):
        response = close(box, body, numbers[::-1])
        assert (response.status_code, response.content) == (204, b"")
        assert box.genuine(response.headers, b"")
    assert {each["trade_state"] for each in query(box, body)["sub_orders"]} == {"CLOSED"}
    assert box.http.post(f"/_sandbox/prepay/{body['prepay_id']}/pay").status_code == 409
    assert box.pay_api("POST", f"{ROOT}/jsapi", _asked(body)).json()["code"] == "ORDER_CLOSED"
    assert close(box, form(box)).status_code == 404
    raced = box.lever(f"payments/{body['combine_out_trade_no']}/pay", {"raced": True})
    assert {each["trade_state"] for each in raced["sub_orders"]} == {"SUCCESS"}


def test_asked_again(box) -> None:
    body = placed(box)
    again = box.pay_api("POST", f"{ROOT}/jsapi", _asked(body))
    assert again.status_code == 200
    assert again.json()["prepay_id"] != body["prepay_id"]
    dearer = [part(box, 1, out_trade_no=each["out_trade_no"]) for each in body["sub_orders"]]
    changed = box.pay_api("POST", f"{ROOT}/jsapi", _asked(body) | {"sub_orders": dearer})
    assert (changed.status_code, changed.json()["code"]) == (403, "OUT_TRADE_NO_USED")
    stolen = form(box, sub_orders=[part(box, 1), body["sub_orders"][0]])
    assert box.pay_api("POST", f"{ROOT}/jsapi", stolen).status_code == 403
    assert box.pay_api("GET", f"{ROOT}/out-trade-no/{stolen['combine_out_trade_no']}").status_code == 404
    number = body["sub_orders"][0]["out_trade_no"]
    assert box.pay_api("POST", "/v3/pay/transactions/jsapi", box.form(out_trade_no=number)).status_code == 403
    assert box.pay_api("POST", f"{ROOT}/jsapi", form(box, sub_orders=[part(box, 1)] * 2)).status_code == 400


def without(facts: dict, name: str) -> dict:
    return {each: value for each, value in facts.items() if each != name}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda box, body: body | {"sub_orders": body["sub_orders"][:1]},
        lambda box, body: body | {"sub_orders": [part(box, 1) for _ in range(11)]},
        lambda box, body: body | {"sub_orders": [without(part(box, 1), "attach"), part(box, 1)]},
        lambda box, body: body | {"sub_orders": [part(box, 1, amount={"total": 1, "currency": "CNY"}), part(box, 1)]},
        lambda box, body: body | {"sub_orders": [part(box, 1, amount={"total_amount": 1}), part(box, 1)]},
        lambda box, body: body | {"sub_orders": [part(box, 1, mchid="1900000999"), part(box, 1)]},
        lambda box, body: body | {"combine_mchid": "1900000999"},
        lambda box, body: body | {"combine_appid": "wx0000000000000000"},
        lambda box, body: body | {"notify_url": "http://127.0.0.1/?a=1"},
        lambda box, body: body | {"mchid": box.mch_id},
        lambda box, body: body | {"scene_info": None},
        lambda box, body: without(body, "combine_payer_info"),
    ],
)
def test_refused_as_a_whole(box, spoil) -> None:
    body = spoil(box, form(box))
    response = box.pay_api("POST", f"{ROOT}/jsapi", body)
    assert response.status_code == 400, response.text
    assert "wechatpay-signature" not in response.headers


def test_a_lost_answer(box) -> None:
    body = form(box)
    box.lever("faults", {"path": ROOT, "effect": "500_after"})
    assert box.pay_api("POST", f"{ROOT}/jsapi", body).status_code == 500
    assert query(box, body)["sub_orders"][1]["trade_state"] == "NOTPAY"
    assert box.pay_api("POST", f"{ROOT}/jsapi", body).status_code == 200


def test_unpaid_for_a_week(new_box) -> None:
    box = new_box()
    body = placed(box)
    box.lever(f"payments/{body['combine_out_trade_no']}/cancel")
    box.lever("clock/advance", {"seconds": 7 * 86400 + 1})
    assert {each["trade_state"] for each in query(box, body)["sub_orders"]} == {"CLOSED"}


def test_the_package_pays_combined(box) -> None:
    pay = client(box)
    body = form(box)
    facts = {name: body[name] for name in ("combine_out_trade_no", "sub_orders", "combine_payer_info")}
    status, text = pay.combine_pay(**facts)
    assert (status, "prepay_id" in text) == (200, True)
    for product, more in ((WeChatPayType.NATIVE, {}), (WeChatPayType.APP, {}), (WeChatPayType.H5, _h5())):
        other = form(box)
        facts = {name: other[name] for name in ("combine_out_trade_no", "sub_orders")}
        assert pay.combine_pay(**facts, pay_type=product, **more)[0] == 200
    parts = [{"mchid": box.mch_id, "out_trade_no": each["out_trade_no"]} for each in other["sub_orders"]]
    assert pay.combine_close(other["combine_out_trade_no"], parts)[0] == 204
    status, text = pay.combine_query(other["combine_out_trade_no"])
    assert (status, json.loads(text)["sub_orders"][0]["trade_state"]) == (200, "CLOSED")


def _h5() -> dict:
    return {"scene_info": {"payer_client_ip": "203.0.113.9", "h5_info": {"type": "Wap"}}}
