"""An overseas merchant: local prices, other names, refunds, the statement; and customs declarations."""

import hashlib
import json
import secrets
from base64 import b64decode, b64encode
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from box import Box
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_public_key

ROOT = "/v3/global"
OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)


@pytest.fixture(scope="module")
def overseas_box(tmp_path_factory: pytest.TempPathFactory):
    made = Box(tmp_path_factory.mktemp("overseas") / "data", "--region", "global", "--currency", "HKD")
    yield made
    made.stop()
    made.http.close()


@pytest.fixture
def abroad(overseas_box):
    at_first = overseas_box.look("settings")
    yield overseas_box
    overseas_box.lever("settings", at_first)


def form(box, trade_type: str = "JSAPI", notify_url: str = "http://127.0.0.1:9/nobody", **changes: object) -> dict:
    direct = box.form(notify_url)
    facts = {name: direct[name] for name in ("appid", "mchid", "description", "out_trade_no", "notify_url")}
    facts |= {"trade_type": trade_type, "merchant_category_code": box.env["WECHAT_PAY_MERCHANT_CATEGORY_CODE"]}
    facts |= {"amount": {"total": 4200, "currency": "HKD"}}
    if trade_type == "JSAPI":
        facts["payer"] = direct["payer"]
    return facts | changes


def paid(box, *arguments: str, **changes: object) -> dict:
    body = form(box, *arguments, **changes)
    response = box.pay_api("POST", f"{ROOT}/transactions/jsapi", body)
    assert response.status_code == 200, response.text
    box.lever(f"payments/{body['out_trade_no']}/pay")
    return query(box, body["out_trade_no"])


def query(box, number: str) -> dict:
    response = box.pay_api("GET", f"{ROOT}/transactions/out-trade-no/{number}?mchid={box.mch_id}")
    assert response.status_code == 200, response.text
    assert box.genuine(response.headers, response.content)
    return response.json()


def refund_form(box, trade: dict, amount: int, **changes: object) -> dict:
    facts = {"appid": box.app_id, "mchid": box.mch_id, "out_trade_no": trade["out_trade_no"]}
    facts |= {"out_refund_no": f"R{secrets.token_hex(8)}"}
    return facts | {"amount": {"refund": amount, "total": 4200, "currency": "HKD"}} | changes


def opened(box, raw: bytes) -> dict:
    sealed = json.loads(raw)["resource"]
    cipher = AESGCM(box.env["WECHAT_PAY_APIV3_KEY"].encode())
    aad = sealed["associated_data"].encode()
    return json.loads(cipher.decrypt(sealed["nonce"].encode(), b64decode(sealed["ciphertext"]), aad))


def test_paid_in_yuan_for_dollars(abroad, inbox) -> None:
    settings = {name: abroad.env[f"WECHAT_PAY_{name}"] for name in ("REGION", "CURRENCY")}
    assert settings == {"REGION": "global", "CURRENCY": "HKD"}
    found = paid(abroad, "JSAPI", inbox.url)
    assert found["amount"] == {
        "total": 4200,
        "currency": "HKD",
        "payer_total": 3864,
        "payer_currency": "CNY",
        "exchange_rate": {"type": "SETTLEMENT_RATE", "rate": 92_000_000},
    }
    assert (len(found["id"]), "transaction_id" in found) == (28, False)
    by_id = abroad.pay_api("GET", f"{ROOT}/transactions/id/{found['id']}?mchid={abroad.mch_id}")
    assert by_id.json() == found
    assert opened(abroad, inbox.wait(1)[0][1]) == found
    abroad.lever("settings", {"exchange_rate": 91_000_000})
    assert query(abroad, found["out_trade_no"]) == found  # the rate is that of the payment


@pytest.mark.parametrize(
    ("product", "trade_type", "member", "more"),
    [
        ("app", "APP", "prepay_id", {}),
        ("native", "NATIVE", "code_url", {}),
        ("mweb", "MWEB", "mweb_url", {"scene_info": {"payer_client_ip": "203.0.113.9", "h5_info": {"type": "Wap"}}}),
    ],
)
def test_other_products(abroad, product, trade_type, member, more) -> None:
    body = form(abroad, trade_type, **more)
    assert member in abroad.pay_api("POST", f"{ROOT}/transactions/{product}", body).json()
    target = f"{ROOT}/transactions/out-trade-no/{body['out_trade_no']}/close"
    assert abroad.pay_api("POST", target, {"mchid": abroad.mch_id}).status_code == 204
    assert query(abroad, body["out_trade_no"])["trade_state"] == "CLOSED"


@pytest.mark.parametrize(
    "change",
    [
        {"trade_type": "NATIVE"},
        {"trade_type": None},
        {"merchant_category_code": "coffee"},
        {"amount": {"total": 4200, "currency": "CNY"}},
        {"amount": {"total": 4200}},
        {"settle_info": {"profit_sharing": True}},
    ],
)
def test_refused(abroad, change) -> None:
    response = abroad.pay_api("POST", f"{ROOT}/transactions/jsapi", form(abroad) | change)
    assert (response.status_code, response.json()["code"]) == (400, "PARAM_ERROR")


def test_calls_of_the_other_side(abroad, box) -> None:
    assert abroad.pay_api("POST", "/v3/pay/transactions/jsapi", abroad.form()).json()["code"] == "NO_AUTH"
    at_home = f"{ROOT}/transactions/out-trade-no/T123456?mchid={box.mch_id}"
    assert box.pay_api("GET", at_home).json()["code"] == "NO_AUTH"


def test_refunded(abroad, inbox) -> None:
    trade = paid(abroad)
    body = refund_form(abroad, trade, 1000, notify_url=inbox.url)
    assert abroad.pay_api("POST", f"{ROOT}/refunds", body | {"appid": "wx0"}).status_code == 400
    accepted = abroad.pay_api("POST", f"{ROOT}/refunds", body)
    assert accepted.status_code == 200, accepted.text
    refund_id = accepted.json()["id"]
    told = opened(abroad, inbox.wait(1)[0][1])
    assert (told["refund_status"], told["refund_id"], told["amount"]["payer_refund"]) == ("SUCCESS", refund_id, 920)
    for path in (f"out-refund-no/{body['out_refund_no']}", f"id/{refund_id}"):
        found = abroad.pay_api("GET", f"{ROOT}/refunds/{path}?mchid={abroad.mch_id}").json()
        assert (found["status"], found["amount"]["refund"], found["amount"]["currency"]) == ("SUCCESS", 1000, "HKD")
    second = refund_form(abroad, trade, 200)
    abroad.pay_api("POST", f"{ROOT}/refunds", second)
    abroad.lever(f"refunds/{second['out_refund_no']}/state", {"status": "CLOSED"})
    listed = abroad.pay_api(
        "GET", f"{ROOT}/refunds?mchid={abroad.mch_id}&out_trade_no={trade['out_trade_no']}&offset=1&count=5"
    ).json()
    assert (listed["total_count"], [each["status"] for each in listed["data"]]) == (2, ["REFUNDCLOSE"])


def test_the_days_statement(new_box) -> None:
    box = new_box("--region", "global", "--currency", "HKD")
    trade = paid(box, description="咖啡, 大杯")
    box.pay_api("POST", f"{ROOT}/refunds", refund_form(box, trade, 1000))
    today = datetime.fromisoformat(trade["success_time"])
    day = f"{today:%Y%m%d}"

    def statement(wanted: str):
        return box.pay_api("GET", f"{ROOT}/statements?date={wanted}&mchid={box.mch_id}")

    assert statement(day).json()["code"] == "INVALID_REQUEST"
    assert statement("2026-01-01").json()["code"] == "PARAM_ERROR"
    tomorrow = (today + timedelta(days=1)).replace(hour=1)
    box.lever("clock/advance", {"seconds": (tomorrow - today).total_seconds()})
    assert statement(day).json()["code"] == "STATEMENT_CREATING"
    box.lever("clock/advance", {"seconds": 9 * 3600 + 60})
    response = statement(day)
    digest = response.headers["wechatpay-statement-sha1"]
    assert digest == hashlib.sha1(response.content).hexdigest()
    assert box.genuine(response.headers, f'{{"sha1":"{digest}"}}'.encode())
    head, payment, refund, summary, totals, end = response.content.decode("utf-8-sig").split("\r\n")
    assert len(head.split(",")) == len(payment.split(",`")) == len(refund.split(",`")) == 21
    assert (trade["id"] in payment, "咖啡\\  大杯" in payment, "`38.64,`0.92" in payment) == (True, True, True)
    assert "`10.00,`SUCCESS" in refund
    assert (summary.count(","), totals, end) == (4, "`2,`42.00,`10.00,`0.00,`38.64", "")
    box.lever("clock/advance", {"seconds": 86400})
    assert statement(f"{tomorrow:%Y%m%d}").json()["code"] == "NO_STATEMENT_EXIST"


def declaration(box, **changes: object) -> dict:
    """Of a paid order of a merchant at home."""
    number = box.paid()
    target = f"/v3/pay/transactions/out-trade-no/{number}?mchid={box.mch_id}"
    facts = {"appid": box.app_id, "mchid": box.mch_id, "out_trade_no": number, "customs": "NINGBO"}
    facts |= {"transaction_id": box.pay_api("GET", target).json()["transaction_id"]}
    return facts | {"merchant_customs_no": "1234567890"} | changes


def found(box, body: dict, kind: str = "out_trade_no"):
    target = f"{ROOT}/customs/orders?appid={box.app_id}&mchid={box.mch_id}&order_type={kind}&order_no={body[kind]}"
    return box.pay_api("GET", f"{target}&customs={body['customs']}&offset=0&limit=20")


def test_declared_and_amended(box) -> None:
    body = declaration(box, duty=100)
    assert found(box, body).status_code == 404
    first = box.pay_api("POST", f"{ROOT}/customs/orders", body)
    assert (first.status_code, first.json()["state"]) == (200, "PROCESSING"), first.text
    assert box.pay_api("POST", f"{ROOT}/customs/orders", body).status_code == 200
    assert box.pay_api("POST", f"{ROOT}/customs/orders", body | {"duty": 101}).status_code == 400
    box.lever("clock/advance", {"seconds": 2})
    [one] = found(box, body).json()["data"]
    assert (one["state"], one["duty"], one["verify_department"]) == ("SUCCESS", 100, "NETSUNION")
    assert one["verify_department_trade_id"]
    assert box.pay_api("PATCH", f"{ROOT}/customs/orders", body | {"duty": 101}).json()["state"] == "SUBMITTED"
    box.lever("clock/advance", {"seconds": 2})
    again = found(box, body, "transaction_id").json()
    assert [(each["state"], each["duty"]) for each in again["data"]] == [("SUCCESS", 101)]


def test_an_office_that_fails(box) -> None:
    body = declaration(box)
    box.pay_api("POST", f"{ROOT}/customs/orders", body)
    box.lever(f"customs/{body['out_trade_no']}/state", {"state": "FAIL", "explanation": "企业未备案"})
    [one] = found(box, body).json()["data"]
    assert (one["state"], one["explanation"]) == ("FAIL", "企业未备案")
    named = {name: body[name] for name in ("appid", "mchid", "customs", "out_trade_no")}
    assert box.pay_api("POST", f"{ROOT}/customs/redeclare", named).json()["state"] == "PROCESSING"
    box.lever("clock/advance", {"seconds": 2})
    assert found(box, body).json()["data"][0]["state"] == "SUCCESS"
    assert box.pay_api("POST", f"{ROOT}/customs/redeclare", named | {"customs": "TIANJIN"}).status_code == 404


def test_a_split_order(box) -> None:
    body = declaration(box)
    fees = {"order_fee": 2000, "transport_fee": 500, "product_fee": 1500}

    def part(number: str, **changes: object):
        return box.pay_api("POST", f"{ROOT}/customs/orders", body | {"sub_order_no": number} | fees | changes)

    assert box.pay_api("POST", f"{ROOT}/customs/orders", body | {"sub_order_no": "S1"}).status_code == 400
    assert part("S1", order_fee=2001).status_code == 400
    assert "sub_order_id" in part("S1").json()
    assert part("S2", order_fee=2300, product_fee=1800).status_code == 400
    assert part("S2").status_code == 200
    assert [each["sub_order_no"] for each in found(box, body).json()["data"]] == ["S1", "S2"]
    assert len(found(box, body | {"sub_order_no": "S2"}, "sub_order_no").json()["data"]) == 1


@pytest.mark.parametrize("change", [{"customs": "BEIJING"}, {"transaction_id": "42"}, {"duty": "1"}, {"mchid": "1"}])
def test_declarations_refused(box, change) -> None:
    assert box.pay_api("POST", f"{ROOT}/customs/orders", declaration(box) | change).status_code == 400


def test_what_is_unpaid_is_not_declared(box) -> None:
    body = declaration(box) | {"out_trade_no": box.ordered()}
    assert box.pay_api("POST", f"{ROOT}/customs/orders", body).json()["code"] == "INVALID_REQUEST"
    assert box.pay_api("POST", f"{ROOT}/customs/orders", body | {"out_trade_no": "T-nobody"}).status_code == 404


def test_the_buyers_identity(abroad) -> None:
    trade = paid(abroad)
    key = load_pem_public_key(Path(abroad.env["WECHAT_PAY_PUBLIC_KEY"]).read_bytes())
    body = {"appid": abroad.app_id, "mchid": abroad.mch_id, "out_trade_no": trade["out_trade_no"]}
    body |= {
        "transaction_id": trade["id"],
        "customs": "NINGBO",
        "merchant_customs_no": "1",
        "certificate_type": "IDCARD",
    }
    serial = abroad.env["WECHAT_PAY_PUBLIC_KEY_ID"]
    for name, result in (("张三", "SAME"), ("异名", "DIFFERENT")):
        sealed = [b64encode(key.encrypt(text.encode(), OAEP)).decode() for text in ("330821198809085211", name)]
        body |= {"certificate_id": sealed[0], "name": sealed[1]}
        answer = abroad.pay_api("POST", f"{ROOT}/customs/verify-certificate", body, Wechatpay_Serial=serial)
        assert answer.json()["certificate_check_result"] == result
