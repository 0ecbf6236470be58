"""Orders: what a body must look like, and what becomes of a number."""

import json
import re
from datetime import datetime, timedelta, timezone

import pytest

JSAPI = "/v3/pay/transactions/jsapi"
BEIJING = timezone(timedelta(hours=8))
DROP = object()


def changed(form: dict, path: str, value: object) -> dict:
    """A copy of ``form`` with one member set, or dropped."""
    copy = json.loads(json.dumps(form))
    *parents, name = path.strip("/").split("/")
    place = copy
    for parent in parents:
        place = place.setdefault(parent, {})
    if value is DROP:
        del place[name]
    else:
        place[name] = value
    return copy


def in_business(box, **ahead: float) -> str:
    now = datetime.fromisoformat(box.look("clock")["now"])
    return (now + timedelta(**ahead)).isoformat()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/amount/total", "4200"),
        ("/amount/total", 1.0),
        ("/amount/total", True),
        ("/amount/total", 0),
        ("/amount/total", 10**30),
        ("/amount/total", DROP),
        ("/amount/currency", "USD"),
        ("/amount", []),
        ("/description", ""),
        ("/description", None),
        ("/description", "啡" * 43),
        ("/description", "a\x00b"),
        ("/description", "\ud800"),
        ("/out_trade_no", "T1234"),
        ("/out_trade_no", "T" * 33),
        ("/out_trade_no", "T-1234@5"),
        ("/out_trade_no", "订单号码"),
        ("/notify_url", "/notify"),
        ("/notify_url", "ftp://shop.example.com/n"),
        ("/notify_url", "https://shop.example.com/n?a=1"),
        ("/notify_url", "https://shop.example.com:99999/n"),
        ("/notify_url", "https://shop.example.com/" + "n" * 255),
        ("/payer/openid", DROP),
        ("/payer/openid", "alice"),
        ("/payer", DROP),
        ("/time_expire", "2026-01-01 08:00:00"),
        ("/time_expire", "2026-13-01T08:00:00+08:00"),
        ("/attach", "a" * 129),
        ("/goods_tag", "a" * 33),
        ("/support_fapiao", "true"),
        ("/settle_info/profit_sharing", 1),
        ("/limit_pay", ["no_money"]),
        ("/limit_pay", "no_credit"),
        ("/detail/goods_detail", [{"merchant_goods_id": "1", "quantity": 1}]),
        ("/scene_info/device_id", "1"),
        ("/scene_info/payer_client_ip", "localhost"),
        ("/surprise", 1),
        ("/payer/surprise", 1),
    ],
)
def test_bodies_that_do_not_fit_are_param_errors(box, path, value) -> None:
    response = box.pay_api("POST", JSAPI, changed(box.form(), path, value))
    assert (response.status_code, response.json()["code"]) == (400, "PARAM_ERROR")
    assert response.json()["detail"]["field"].startswith("/")
    assert "wechatpay-signature" not in response.headers
    assert re.fullmatch(r"08[0-9A-F]+-\d+", response.headers["request-id"].replace("--", "-"))


def test_lengths_count_bytes_and_unknown_members_have_their_number(box) -> None:
    form = box.form(description="啡" * 43)
    assert "字节数 129，大于最大值 127" in box.pay_api("POST", JSAPI, form).json()["message"]
    assert box.pay_api("POST", JSAPI, form | {"description": "啡" * 42}).status_code == 200
    response = box.pay_api("POST", JSAPI, box.form(surprise=1))
    assert response.headers["request-id"].endswith("-270924358")


def test_everything_documented_is_taken(box) -> None:
    form = box.form(
        time_expire=in_business(box, minutes=30),
        attach="shop=7",
        goods_tag="WXG",
        support_fapiao=True,
        limit_pay=["no_credit"],
        settle_info={"profit_sharing": False},
        detail={"cost_price": 1, "goods_detail": [{"merchant_goods_id": "1", "quantity": 1, "unit_price": 1}]},
        scene_info={"payer_client_ip": "203.0.113.9", "device_id": "1", "store_info": {"id": "1"}},
        out_trade_no="T-_|*12" + box.form()["out_trade_no"][-8:],
    )
    response = box.pay_api("POST", JSAPI, form)
    assert response.status_code == 200, response.text
    assert re.fullmatch(r"wx\d{14}[0-9a-f]{16}0000", response.json()["prepay_id"])


def test_parties_must_fit(box) -> None:
    response = box.pay_api("POST", JSAPI, box.form(appid="wx0123456789abcdef"))
    assert (response.status_code, response.json()["code"]) == (400, "APPID_MCHID_NOT_MATCH")
    unnamed_key = {"openid": box.openid(), "identity": {"type": "IDCARD", "number": "x", "name": "y"}}
    assert "Wechatpay-Serial" in box.pay_api("POST", JSAPI, box.form(payer=unnamed_key)).json()["message"]
    stranger = {"openid": "oStranger_of_this_world_0001"}
    box.lever("settings", {"strict_openid": True})
    assert box.pay_api("POST", JSAPI, box.form(payer=stranger)).json()["message"] == "无效的openid"
    box.lever("settings", {"strict_openid": False})
    assert box.pay_api("POST", JSAPI, box.form(payer=stranger)).status_code == 200


def test_a_purchase_from_order_to_paid(box) -> None:
    form = box.form(attach="shop=7")
    prepay_id = box.pay_api("POST", JSAPI, form).json()["prepay_id"]
    number = form["out_trade_no"]
    target = f"/v3/pay/transactions/out-trade-no/{number}?mchid={box.mch_id}"
    unpaid = box.pay_api("GET", target).json()
    assert unpaid["trade_state"] == "NOTPAY"
    assert unpaid["amount"] == {"total": 4200, "currency": "CNY"}
    assert not {"transaction_id", "trade_type", "bank_type", "success_time", "payer", "attach"} & set(unpaid)
    waiting = [item for item in box.look("payments?state=NOTPAY")["items"] if item["out_trade_no"] == number]
    assert [(item["prepay_id"], item["amount"], item["mchid"]) for item in waiting] == [(prepay_id, 4200, box.mch_id)]
    paid = box.lever(f"prepay/{prepay_id}/pay")
    assert re.fullmatch(r"4200\d{24}", paid["transaction_id"])
    assert box.pay_api("GET", target).json() == paid
    by_id = f"/v3/pay/transactions/id/{paid['transaction_id']}?mchid={box.mch_id}"
    assert box.pay_api("GET", by_id).json() == paid
    assert paid["payer"] == form["payer"]
    assert paid["attach"] == "shop=7"
    assert paid["amount"] == {"total": 4200, "currency": "CNY", "payer_total": 4200, "payer_currency": "CNY"}
    assert paid["success_time"].endswith("+08:00")


def test_a_coupon_makes_the_payer_pay_less(box) -> None:
    number = box.ordered()
    paid = box.lever(f"payments/{number}/pay", {"coupon_fen": 200})
    assert (paid["amount"]["total"], paid["amount"]["payer_total"]) == (4200, 4000)
    assert paid["promotion_detail"][0]["amount"] == 200
    parts = [box.refund(number, fen).json()["amount"] for fen in (1000, 2000, 1200)]
    assert sum(part["discount_refund"] for part in parts) == 200
    assert sum(part["payer_refund"] for part in parts) == 4000


def test_unknown_orders(box) -> None:
    for path in ("out-trade-no/nothing1", "id/4200000000202601010000000001"):
        response = box.pay_api("GET", f"/v3/pay/transactions/{path}?mchid={box.mch_id}")
        assert (response.status_code, response.json()["code"]) == (404, "ORDER_NOT_EXIST")
    response = box.pay_api("POST", "/v3/pay/transactions/out-trade-no/nothing1/close", {"mchid": box.mch_id})
    assert (response.status_code, response.json()["code"]) == (404, "ORDER_NOT_EXIST")


def test_the_same_number_again(box) -> None:
    form = box.form()
    first, second = (box.pay_api("POST", JSAPI, form).json()["prepay_id"] for _ in range(2))
    assert first != second
    other = form | {"amount": {"total": 1}}
    response = box.pay_api("POST", JSAPI, other)
    assert (response.status_code, response.json()["code"]) == (403, "OUT_TRADE_NO_USED")
    box.lever("settings", {"reused_number": "INVALID_REQUEST"})
    response = box.pay_api("POST", JSAPI, other)
    assert (response.status_code, response.json()["message"]) == (400, "201 商户订单号重复")
    app = {name: value for name, value in form.items() if name != "payer"}
    assert box.pay_api("POST", "/v3/pay/transactions/app", app).status_code == 400
    box.lever(f"prepay/{first}/pay")  # an older prepay_id still opens the same order
    response = box.pay_api("POST", JSAPI, form)
    assert (response.status_code, response.json()["code"]) == (400, "ORDERPAID")


def test_close(box) -> None:
    form = box.form()
    number = form["out_trade_no"]
    target = f"/v3/pay/transactions/out-trade-no/{number}/close"
    box.pay_api("POST", JSAPI, form)
    for _ in range(2):  # closing again is fine
        assert box.pay_api("POST", target, {"mchid": box.mch_id}).status_code == 204
    assert box.state(number) == "CLOSED"
    response = box.pay_api("POST", JSAPI, form)
    assert (response.status_code, response.json()["code"]) == (400, "ORDER_CLOSED")
    refused = box.http.post(f"/_sandbox/payments/{number}/pay")
    assert (refused.status_code, "CLOSED" in refused.json()["detail"]) == (409, True)
    paid = box.paid()
    response = box.pay_api("POST", target.replace(number, paid), {"mchid": box.mch_id})
    assert (response.status_code, response.json()["code"]) == (400, "ORDERPAID")


def test_an_order_cannot_be_paid_after_its_time(box) -> None:
    form = box.form(time_expire=in_business(box, minutes=10))
    number = form["out_trade_no"]
    box.pay_api("POST", JSAPI, form)
    box.lever("clock/advance", {"seconds": 601})
    refused = box.http.post(f"/_sandbox/payments/{number}/pay")
    assert (refused.status_code, "time_expire" in refused.json()["detail"]) == (409, True)
    assert box.state(number) == "NOTPAY"  # WeChat does not close it by itself yet
    response = box.pay_api("POST", JSAPI, form)
    assert (response.status_code, response.json()["code"]) == (400, "ORDER_CLOSED")


def test_a_short_time_is_raised_to_a_minute_and_a_long_one_refused(box) -> None:
    number = box.ordered(time_expire=in_business(box, seconds=-30))
    box.lever("clock/advance", {"seconds": 50})
    box.lever(f"payments/{number}/pay")
    form = box.form(time_expire=in_business(box, days=16))
    assert box.pay_api("POST", JSAPI, form).json()["code"] == "PARAM_ERROR"


def test_a_prepay_lives_two_hours_and_can_be_renewed(box) -> None:
    form = box.form()
    first = box.pay_api("POST", JSAPI, form).json()["prepay_id"]
    box.lever("clock/advance", {"seconds": 7201})
    refused = box.http.post(f"/_sandbox/prepay/{first}/pay")
    assert (refused.status_code, "expired" in refused.json()["detail"]) == (409, True)
    second = box.pay_api("POST", JSAPI, form).json()["prepay_id"]
    box.lever(f"prepay/{second}/pay")


def test_unpaid_orders_close_after_seven_days(box) -> None:
    number = box.ordered()
    box.lever("clock/advance", {"seconds": 7 * 86400 - 60})
    assert box.state(number) == "NOTPAY"
    box.lever("clock/advance", {"seconds": 120})
    assert box.state(number) == "CLOSED"


def test_an_order_belongs_to_one_payer(box) -> None:
    number = box.ordered()
    refused = box.http.post(f"/_sandbox/payments/{number}/pay", json={"openid": box.openid("bob")})
    assert (refused.status_code, "another payer" in refused.json()["detail"]) == (409, True)


def test_a_cancelled_sheet_leaves_the_order_payable(box) -> None:
    number = box.ordered()
    box.lever(f"payments/{number}/cancel")
    assert box.state(number) == "NOTPAY"
    box.lever(f"payments/{number}/pay")
    assert box.http.post(f"/_sandbox/payments/{number}/cancel").status_code == 409
    assert box.http.post("/_sandbox/payments/nothing1/cancel").status_code == 404
    assert box.http.post("/_sandbox/prepay/wx1/pay").status_code == 404


def unnamed(box, **more: object) -> dict:
    form = box.form(**more)
    del form["payer"]
    return form


def test_native_codes_replace_one_another(box) -> None:
    form = unnamed(box)
    urls = [box.pay_api("POST", "/v3/pay/transactions/native", form).json()["code_url"] for _ in range(2)]
    assert all(re.fullmatch(r"weixin://wxpay/bizpayurl\?pr=\w{9}", url) for url in urls)
    number = form["out_trade_no"]
    bob = box.openid("bob")
    paid = box.lever(f"payments/{number}/pay", {"openid": bob})
    assert (paid["trade_type"], paid["payer"]["openid"]) == ("NATIVE", bob)
    long = unnamed(box, time_expire=in_business(box, days=8))
    assert box.pay_api("POST", "/v3/pay/transactions/native", long).json()["code"] == "PARAM_ERROR"


def test_h5_leads_to_the_sandboxs_own_page_for_five_minutes(box) -> None:
    scene = {"payer_client_ip": "203.0.113.9", "h5_info": {"type": "Wap"}}
    path = "/v3/pay/transactions/h5"
    assert box.pay_api("POST", path, unnamed(box)).json()["code"] == "PARAM_ERROR"
    loopback = scene | {"payer_client_ip": "127.0.0.1"}
    assert box.pay_api("POST", path, unnamed(box, scene_info=loopback)).json()["code"] == "PARAM_ERROR"
    form = unnamed(box, scene_info=scene)
    url = box.pay_api("POST", path, form).json()["h5_url"]
    assert url.startswith(f"{box.url}/")
    assert box.http.get(url).headers["location"].startswith("/phone?prepay_id=wx")
    box.lever("clock/advance", {"seconds": 301})
    assert box.http.post(f"/_sandbox/payments/{form['out_trade_no']}/pay").status_code == 409
    box.pay_api("POST", path, form)
    assert box.lever(f"payments/{form['out_trade_no']}/pay")["trade_type"] == "MWEB"


def test_app_orders(box) -> None:
    form = unnamed(box)
    assert box.pay_api("POST", "/v3/pay/transactions/app", form).json()["prepay_id"].startswith("wx")
    assert box.lever(f"payments/{form['out_trade_no']}/pay")["trade_type"] == "APP"


def test_a_payment_confirmed_before_the_close_may_land_after_it(box) -> None:
    form = box.form()
    number = form["out_trade_no"]
    box.pay_api("POST", JSAPI, form)
    box.pay_api("POST", f"/v3/pay/transactions/out-trade-no/{number}/close", {"mchid": box.mch_id})
    assert box.http.post(f"/_sandbox/payments/{number}/pay").status_code == 409
    assert box.http.post(f"/_sandbox/payments/{number}/pay", json={"raced": True}).status_code == 200
    assert box.state(number) == "SUCCESS"
    assert box.http.post(f"/_sandbox/payments/{number}/pay", json={"raced": True}).status_code == 409
