"""Who may call, in WeChat's order of checks."""

import json
import time

import pytest

JSAPI = "/v3/pay/transactions/jsapi"
REFUNDS = "/v3/refund/domestic/refunds"


def is_unsigned(response) -> bool:
    return not any(name.startswith("wechatpay-") for name in response.headers)


@pytest.mark.parametrize(
    "path", ["/v3/nothing", "/v3", "/v3/", JSAPI + "/", "/v3/pay/transactions/id/", "/v3x", "/v2/x"]
)
def test_unknown_paths_are_empty_404s(box, path) -> None:
    response = box.http.post(path, content=b"{}")
    assert (response.status_code, response.content) == (404, b"") or not path.startswith("/v3")
    assert response.status_code == 404


@pytest.mark.parametrize(("method", "path"), [("GET", JSAPI), ("PUT", REFUNDS), ("POST", "/v3/certificates")])
def test_wrong_methods_are_empty_405s(box, method, path) -> None:
    response = box.http.request(method, path)
    assert (response.status_code, response.content) == (405, b"")


@pytest.mark.parametrize("missing", ["user-agent", "accept"])
def test_missing_agent_or_accept_comes_before_the_signature(box, missing) -> None:
    headers = {name: value for name, value in box.http.headers.items() if name != missing}
    with type(box.http)(base_url=box.url) as bare:
        del bare.headers[missing]
        response = bare.get("/v3/certificates")
        assert (response.status_code, response.json()["code"]) == (400, "INVALID_REQUEST")
        assert response.json()["message"] == "Http头缺少Accept或User-Agent"
        assert bare.post(JSAPI, content=b"{}").status_code == 401  # transactions do not care
    assert headers


@pytest.mark.parametrize(
    "header",
    [
        None,
        "WECHATPAY2-SHA256-RSA2048",
        "WECHATPAY2-SHA256-RSA2048 nonsense",
        'WECHATPAY2-SHA256-RSA2048 mchid="1"',
        'WECHATPAY2-SHA256-RSA2048 mchid="1",mchid="1",nonce_str="n",signature="s",timestamp="1",serial_no="2"',
        'WECHATPAY2-SHA256-RSA2048 mchid="1",nonce_str="n",signature="s",timestamp="soon",serial_no="2"',
    ],
)
def test_malformed_authorization(box, header) -> None:
    headers = {"Authorization": header} if header else {}
    refund = box.http.post(REFUNDS, content=b"{}", headers=headers)
    assert (refund.status_code, refund.json()["code"]) == (401, "SIGN_ERROR")
    assert refund.json()["message"].startswith("Http头Authorization值格式错误")
    assert "request-id" in refund.headers
    assert is_unsigned(refund)
    order = box.http.post(JSAPI, content=b"{}", headers=headers)
    assert order.json() == {"code": "SIGN_ERROR", "message": "签名信息错误，验签失败"}
    assert "request-id" not in order.headers


def test_another_scheme(box) -> None:
    for scheme in ("Bearer abc", 'WECHATPAY2-SM2-WITH-SM3 mchid="1"'):
        response = box.http.post(REFUNDS, content=b"{}", headers={"Authorization": scheme})
        assert response.json()["message"] == "Http头Authorization认证类型不正确"


@pytest.mark.parametrize("shift", [-310, 310])
def test_the_clock_is_checked_before_serial_and_signature(box, shift) -> None:
    stale = str(int(time.time()) + shift)
    header = box.authorization("GET", "/v3/certificates", timestamp=stale, serial_no="0" * 40, signature="x")
    response = box.http.get("/v3/certificates", headers={"Authorization": header})
    assert response.status_code == 401
    assert "不得超过5分钟" in response.json()["message"]


@pytest.mark.parametrize("change", [{"serial_no": "0" * 40}, {"mchid": "1900000009"}])
def test_unknown_serial_and_merchant(box, change) -> None:
    header = box.authorization("GET", "/v3/certificates", **change)
    response = box.http.get("/v3/certificates", headers={"Authorization": header})
    assert response.status_code == 401
    assert response.json()["message"].startswith("商户证书序列号有误")


def test_wrong_signature_shows_what_was_verified(box) -> None:
    body = b'{"appid":"wx1"}'
    header = box.authorization("POST", JSAPI, b'{"appid":"wx2"}')
    response = box.http.post(JSAPI, content=body, headers={"Authorization": header})
    detail = response.json()["detail"]
    assert (response.status_code, response.json()["code"]) == (401, "SIGN_ERROR")
    assert (detail["field"], detail["location"]) == ("signature", "authorization")
    shown = detail["sign_information"]
    assert (shown["method"], shown["url"]) == ("POST", JSAPI)
    assert shown["truncated_sign_message"].endswith('{"appid"\n')
    assert shown["sign_message_length"] == len(shown["truncated_sign_message"].encode()) + len(body) - 8
    assert response.headers["request-id"].endswith("-268443699")
    assert is_unsigned(response)
    kept = box.look("signature-failures")["items"][0]
    assert kept["why"] == "sign not match"
    assert kept["body_prefix"] == body.decode()


def test_signature_covers_the_raw_target(box) -> None:
    target = f"/v3/pay/transactions/out-trade-no/A%7CB%2d12?mchid={box.mch_id}&x=%e4%bd%a0"
    assert box.pay_api("GET", target).json()["code"] == "ORDER_NOT_EXIST"
    header = box.authorization("GET", target.replace("%7C", "|"))
    assert box.http.get(target, headers={"Authorization": header}).status_code == 401


def test_failures_explain_the_usual_mistakes(box) -> None:
    target = f"/v3/pay/transactions/out-trade-no/nothing1?mchid={box.mch_id}"
    header = box.authorization("GET", target.partition("?")[0])
    box.http.get(target, headers={"Authorization": header})
    assert "without the query" in box.look("signature-failures")["items"][0]["hint"]
    header = box.authorization("POST", JSAPI, b"")
    box.http.post(JSAPI, content=b"null", headers={"Authorization": header})
    assert "empty body" in box.look("signature-failures")["items"][0]["hint"]


def test_mchid_of_another_comes_before_the_schema(box) -> None:
    response = box.pay_api("POST", JSAPI, {"mchid": "1900000009"})
    assert (response.status_code, response.json()["code"]) == (400, "PARAM_ERROR")
    assert response.json()["message"] == "http header中的mchid与post payload中的mchid不匹配"
    target = "/v3/pay/transactions/out-trade-no/nothing1?mchid=1900000009"
    assert "mchid" in box.pay_api("GET", target).json()["message"]


def test_a_query_names_its_merchant(box) -> None:
    response = box.pay_api("GET", "/v3/pay/transactions/out-trade-no/nothing1")
    assert (response.status_code, response.json()["detail"]["location"]) == (400, "query")


def test_good_answers_are_signed_also_empty_ones(box) -> None:
    number = box.ordered()
    target = f"/v3/pay/transactions/out-trade-no/{number}?mchid={box.mch_id}"
    found = box.pay_api("GET", target)
    assert box.genuine(found.headers, found.content)
    assert found.headers["request-id"].endswith("-0")
    assert abs(int(found.headers["wechatpay-timestamp"]) - time.time()) < 5
    closed = box.pay_api("POST", f"/v3/pay/transactions/out-trade-no/{number}/close", {"mchid": box.mch_id})
    assert (closed.status_code, closed.content) == (204, b"")
    assert box.genuine(closed.headers, b"")


def test_signatures_carry_the_wall_clock_though_business_time_jumps(new_box) -> None:
    box = new_box()
    box.lever("clock/advance", {"seconds": 86400})
    response = box.pay_api("POST", JSAPI, box.form())
    assert response.status_code == 200
    assert abs(int(response.headers["wechatpay-timestamp"]) - time.time()) < 5


def test_repeated_nonces_are_taken_unless_refused(box) -> None:
    target = f"/v3/pay/transactions/out-trade-no/nothing1?mchid={box.mch_id}"
    header = {"Authorization": box.authorization("GET", target, nonce_str="n" * 32)}
    assert [box.http.get(target, headers=header).status_code for _ in range(2)] == [404, 404]
    box.lever("settings", {"refuse_repeated_nonce": True})
    assert [box.http.get(target, headers=header).status_code for _ in range(2)] == [404, 401]


def test_bodies_that_are_no_json_object(box) -> None:
    for raw in (b"", b"null", b"[]", b"{", b'{"a":NaN}', b"\xff", b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}"):
        response = box.pay_api("POST", JSAPI, raw)
        assert (response.status_code, response.json()["code"]) == (400, "PARAM_ERROR"), raw[:20]


def test_a_flood_of_a_body_is_refused(box) -> None:
    raw = json.dumps({"x": "y" * (1 << 20)}).encode()
    assert box.pay_api("POST", JSAPI, raw).status_code in {400, 401}
