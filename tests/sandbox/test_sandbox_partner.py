"""Partner mode: the partner signs, the sub-merchant's money, and both sides' numbers in every answer."""

import json
import secrets
import subprocess
import sys
from base64 import b64decode

import pytest
from box import ROOT as PROJECT
from box import Box
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from test_sandbox_sdk import client
from wechatpayv3 import WeChatPayType

ROOT = "/v3/pay/partner/transactions"


@pytest.fixture(scope="module")
def partner_box(tmp_path_factory: pytest.TempPathFactory):
    made = Box(tmp_path_factory.mktemp("partner") / "data", "--partner")
    yield made
    made.stop()
    made.http.close()


@pytest.fixture
def box(partner_box):
    at_first = partner_box.look("settings")
    yield partner_box
    partner_box.lever("settings", at_first)


def sub(box) -> str:
    return box.env["WECHAT_PAY_SUB_MCH_ID"]


def form(box, notify_url: str = "http://127.0.0.1:9/nobody", **changes: object) -> dict:
    direct = box.form(notify_url)
    facts = {name: direct[name] for name in ("description", "out_trade_no", "notify_url", "amount")}
    facts |= {"sp_appid": box.app_id, "sp_mchid": box.mch_id, "sub_mchid": sub(box)}
    return facts | {"payer": {"sp_openid": box.openid()}} | changes


def ordered(box, *arguments: str, **changes: object) -> str:
    body = form(box, *arguments, **changes)
    response = box.pay_api("POST", f"{ROOT}/jsapi", body)
    assert response.status_code == 200, response.text
    assert box.genuine(response.headers, response.content)
    return body["out_trade_no"]


def query(box, number: str) -> dict:
    target = f"{ROOT}/out-trade-no/{number}?sp_mchid={box.mch_id}&sub_mchid={sub(box)}"
    response = box.pay_api("GET", target)
    assert response.status_code == 200, response.text
    return response.json()


def opened(box, raw: bytes) -> dict:
    sealed = json.loads(raw)["resource"]
    cipher = AESGCM(box.env["WECHAT_PAY_APIV3_KEY"].encode())
    aad = sealed["associated_data"].encode()
    return json.loads(cipher.decrypt(sealed["nonce"].encode(), b64decode(sealed["ciphertext"]), aad))


def test_paid_and_told_with_both_sides(box, inbox) -> None:
    number = ordered(box, inbox.url)
    before = query(box, number)
    assert (before["trade_state"], before["sub_mchid"], "mchid" in before) == ("NOTPAY", sub(box), False)
    box.lever(f"payments/{number}/pay")
    found = query(box, number)
    assert (found["sp_appid"], found["sp_mchid"]) == (box.app_id, box.mch_id)
    assert found["payer"] == {"sp_openid": box.openid()}
    target = f"{ROOT}/id/{found['transaction_id']}?sp_mchid={box.mch_id}&sub_mchid={sub(box)}"
    assert box.pay_api("GET", target).json() == found
    assert opened(box, inbox.wait(1)[0][1]) == found


def test_a_payer_of_the_sub_merchants_appid(box) -> None:
    [alice] = [each for each in box.look("users")["items"] if each["openid"] == box.openid()]
    named = {"sub_appid": box.env["WECHAT_PAY_SUB_APP_ID"], "payer": {"sub_openid": alice["sub_openid"]}}
    number = ordered(box, **named)
    box.lever(f"payments/{number}/pay")
    found = query(box, number)
    assert found["payer"] == {"sp_openid": alice["openid"], "sub_openid": alice["sub_openid"]}
    assert found["sub_appid"] == named["sub_appid"]


@pytest.mark.parametrize(
    "change",
    [
        {"sub_mchid": "1900000999"},
        {"sub_appid": "wx0000000000000000"},
        {"sp_mchid": "1900000999"},
        {"sp_appid": "wx0000000000000000"},
        {"payer": {}},
        {"payer": {"openid": "oAnybody00000000"}},
        {"payer": {"sub_openid": "oAnybody00000000"}},  # needs the sub_appid
        {"mchid": "1900000001"},
    ],
)
def test_refused(box, change) -> None:
    response = box.pay_api("POST", f"{ROOT}/jsapi", form(box, **change))
    assert response.status_code in {400, 403}, response.text


def test_openids_of_the_two_appids_are_not_the_same(box) -> None:
    mixed = form(box, sub_appid=box.env["WECHAT_PAY_SUB_APP_ID"], payer={"sub_openid": box.openid()})
    assert box.pay_api("POST", f"{ROOT}/jsapi", mixed).json()["code"] == "PARAM_ERROR"


def test_a_missing_member_is_named(box) -> None:
    body = form(box)
    del body["sub_mchid"]
    assert box.pay_api("POST", f"{ROOT}/jsapi", body).json()["detail"]["field"] == "/sub_mchid"
    number = ordered(box)
    target = f"{ROOT}/out-trade-no/{number}?sp_mchid={box.mch_id}"
    assert box.pay_api("GET", target).status_code == 400
    assert box.pay_api("GET", f"{target}&sub_mchid=None").status_code == 403  # as the package sends it without one


def test_closed(box) -> None:
    number = ordered(box)
    target = f"{ROOT}/out-trade-no/{number}/close"
    assert box.pay_api("POST", target, {"mchid": box.mch_id}).status_code == 400
    assert box.pay_api("POST", target, {"sp_mchid": box.mch_id, "sub_mchid": sub(box)}).status_code == 204
    assert query(box, number)["trade_state"] == "CLOSED"


def test_refunded_where_the_sub_merchant_lets_him(box, inbox) -> None:
    number = ordered(box)
    box.lever(f"payments/{number}/pay")
    body = box.refund_form(number, 100, notify_url=inbox.url)
    assert box.pay_api("POST", "/v3/refund/domestic/refunds", body).status_code == 400
    body |= {"sub_mchid": sub(box)}
    box.lever("settings", {"sub_refunds_authorised": False})
    assert box.pay_api("POST", "/v3/refund/domestic/refunds", body).json()["code"] == "NO_AUTH"
    box.lever("settings", {"sub_refunds_authorised": True})
    assert box.pay_api("POST", "/v3/refund/domestic/refunds", body).status_code == 200
    target = f"/v3/refund/domestic/refunds/{body['out_refund_no']}"
    assert box.pay_api("GET", target).status_code == 400
    assert box.pay_api("GET", f"{target}?sub_mchid={sub(box)}").status_code == 200
    told = opened(box, inbox.wait(1)[0][1])
    assert (told["sp_mchid"], told["sub_mchid"], "mchid" in told) == (box.mch_id, sub(box), False)


def test_products_of_other_merchants(box) -> None:
    assert box.pay_api("POST", "/v3/pay/transactions/jsapi", box.form()).json()["code"] == "NO_AUTH"
    assert box.pay_api("GET", f"/v3/global/transactions/id/1?mchid={box.mch_id}").status_code in {403, 404}


def test_a_direct_merchant_is_no_partner(started_box) -> None:
    assert "WECHAT_PAY_SUB_MCH_ID" not in started_box.env
    direct = started_box.form()
    body = {name: direct[name] for name in ("description", "out_trade_no", "notify_url", "amount")}
    body |= {"sp_appid": started_box.app_id, "sp_mchid": started_box.mch_id, "sub_mchid": "1900000101"}
    body |= {"payer": {"sp_openid": started_box.openid()}}
    assert started_box.pay_api("POST", f"{ROOT}/jsapi", body).json()["code"] == "NO_AUTH"
    body = started_box.refund_form("T00000000", 1, sub_mchid="1900000101")
    assert started_box.pay_api("POST", "/v3/refund/domestic/refunds", body).status_code == 400


def test_sharing_for_the_sub_merchant(box) -> None:
    config = box.pay_api("GET", f"/v3/profitsharing/merchant-configs/{sub(box)}")
    assert config.json() == {"sub_mchid": sub(box), "max_ratio": 3000}
    body = {"appid": box.app_id, "type": "PERSONAL_OPENID", "account": box.openid("dan"), "relation_type": "STAFF"}
    assert box.pay_api("POST", "/v3/profitsharing/receivers/add", body).status_code == 400
    added = box.pay_api("POST", "/v3/profitsharing/receivers/add", body | {"sub_mchid": sub(box)})
    assert added.json()["sub_mchid"] == sub(box)
    number = ordered(box, settle_info={"profit_sharing": True, "subsidy_amount": 0})
    box.lever(f"payments/{number}/pay")
    box.lever("clock/advance", {"seconds": 61})
    share = {"appid": box.app_id, "sub_mchid": sub(box), "transaction_id": query(box, number)["transaction_id"]}
    share |= {"out_order_no": f"P{number}"[:64], "unfreeze_unsplit": True}
    share |= {"receivers": [{"type": body["type"], "account": body["account"], "amount": 1, "description": "x"}]}
    assert box.pay_api("POST", "/v3/profitsharing/orders", share).json()["sub_mchid"] == sub(box)


def test_combined_for_the_sub_merchant(box) -> None:
    parts = [
        {
            "mchid": box.mch_id,
            "sub_mchid": sub(box),
            "attach": "x",
            "amount": {"total_amount": 1, "currency": "CNY"},
            "out_trade_no": f"S{secrets.token_hex(8)}",
            "description": "x",
        }
        for _ in range(11)
    ]
    body = {
        "combine_appid": box.app_id,
        "combine_mchid": box.mch_id,
        "combine_out_trade_no": f"C{secrets.token_hex(8)}",
    }
    body |= {"sub_orders": parts, "notify_url": "http://127.0.0.1:9/x", "combine_payer_info": {"openid": box.openid()}}
    assert box.pay_api("POST", "/v3/combine-transactions/jsapi", body).status_code == 200
    paid = box.lever(f"payments/{body['combine_out_trade_no']}/pay")
    assert {each["sub_mchid"] for each in paid["sub_orders"]} == {sub(box)}


def test_at_the_sub_merchants_till(box) -> None:
    pay = client(box, partner_mode=True)
    number, whose = box.form()["out_trade_no"], {"sub_mchid": sub(box)}
    code = box.lever("codes", {"kind": "payment", "user": "carol"})["code"]
    shop = {"payer": {"auth_code": code}, "scene_info": {"store_info": {"id": "S1"}}}
    status, text = pay.pay("咖啡", number, {"total": 100}, **shop, pay_type=WeChatPayType.CODEPAY, **whose)
    paid = json.loads(text)
    assert (status, paid["trade_state"], paid["sub_mchid"]) == (200, "SUCCESS", sub(box))
    assert paid["payer"] == {"sp_openid": box.openid("carol")}
    box.lever("clock/advance", {"seconds": 20})
    status, text = pay.codepay_reverse(number, **whose)
    assert (status, json.loads(text)["sub_mchid"]) == (200, sub(box)), text
    assert query(box, number)["trade_state"] == "REVOKED"


def test_the_package_in_partner_mode(box) -> None:
    pay = client(box, partner_mode=True)
    number, whose = box.form()["out_trade_no"], {"sub_mchid": sub(box)}
    payer = {"sp_openid": box.openid()}
    assert pay.pay("咖啡", number, {"total": 100}, payer=payer, **whose)[0] == 200
    assert pay.pay("咖啡", f"{number}n", {"total": 1}, pay_type=WeChatPayType.NATIVE, **whose)[0] == 200
    box.lever(f"payments/{number}/pay")
    assert json.loads(pay.query(out_trade_no=number, **whose)[1])["trade_state"] == "SUCCESS"
    amount = {"refund": 1, "total": 100, "currency": "CNY"}
    assert pay.refund(f"R{number}", amount, out_trade_no=number, **whose)[0] == 200
    assert pay.query_refund(f"R{number}", **whose)[0] == 200
    assert pay.close(f"{number}n", **whose)[0] == 204


@pytest.mark.parametrize(
    "arguments",
    [("--partner", "--region", "global"), ("--currency", "HKD"), ("--region", "global", "--currency", "hk")],
)
def test_merchants_that_cannot_be(tmp_path, arguments) -> None:
    command = [sys.executable, "-m", "sandbox", "--data-dir", str(tmp_path), *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, timeout=20, check=False)
    assert (done.returncode, b"error: --" in done.stderr) == (2, True)


def test_a_partner_stays_one(new_box) -> None:
    box = new_box("--partner")
    before = sub(box)
    box.stop()
    box.arguments = ()
    box.start()
    assert sub(box) == before
