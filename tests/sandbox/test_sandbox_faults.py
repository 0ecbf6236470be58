"""Bad days on demand, and who may order them."""

import time

import httpx
import pytest
from cryptography.exceptions import InvalidSignature

JSAPI = "/v3/pay/transactions/jsapi"


def test_failures_before_the_work(box) -> None:
    form = box.form()
    box.lever("faults", {"method": "POST", "path": JSAPI, "effect": "500", "times": 2})
    for _ in range(2):
        response = box.pay_api("POST", JSAPI, form)
        assert (response.status_code, response.json()["code"]) == (500, "SYSTEM_ERROR")
    assert not [i for i in box.look("payments")["items"] if i["out_trade_no"] == form["out_trade_no"]]
    assert box.pay_api("POST", JSAPI, form).status_code == 200


def test_a_proxy_in_pieces_and_too_many_calls(box) -> None:
    box.lever("faults", {"path": "^/v3/.*/jsapi$", "effect": "502_html"})
    response = box.pay_api("POST", JSAPI, box.form())
    assert (response.status_code, response.headers["content-type"]) == (502, "text/html")
    box.lever("faults", {"path": "/v3/", "effect": "429"})
    assert box.pay_api("POST", JSAPI, box.form()).json()["code"] == "FREQUENCY_LIMITED"


def test_the_work_is_done_and_the_answer_lost(box) -> None:
    form = box.form()
    box.lever("faults", {"path": JSAPI, "effect": "500_after"})
    assert box.pay_api("POST", JSAPI, form).status_code == 500
    assert box.state(form["out_trade_no"]) == "NOTPAY"
    order = box.paid()
    refund = box.refund_form(order, 1)
    box.lever("faults", {"path": "/v3/refund", "effect": "timeout_after", "seconds": 30})
    with pytest.raises(httpx.ReadTimeout):
        box.http.post(
            "/v3/refund/domestic/refunds",
            json=refund,
            timeout=0.3,
            headers={"Authorization": signed_json(box, refund)},
        )
    assert box.pay_api("GET", f"/v3/refund/domestic/refunds/{refund['out_refund_no']}").status_code == 200


def signed_json(box, body: dict) -> str:
    content = httpx.Request("POST", box.url, json=body).read()
    return box.authorization("POST", "/v3/refund/domestic/refunds", content)


def test_silence_before_the_work(box) -> None:
    form = box.form()
    box.lever("faults", {"path": JSAPI, "effect": "timeout_before", "seconds": 0.2})
    begun = time.monotonic()
    assert box.pay_api("POST", JSAPI, form).status_code == 504
    assert time.monotonic() - begun >= 0.2
    assert box.pay_api("POST", JSAPI, form).status_code == 200


@pytest.mark.parametrize(
    ("effect", "status", "done"),
    [
        ("503", 503, False),
        ("503_after", 503, True),
        ("502_html_after", 502, True),
        ("429_after", 429, True),
    ],
)
def test_refused_by_the_looks_of_it(box, effect, status, done) -> None:
    refund = box.refund_form(box.paid(), 1)
    box.lever("faults", {"method": "POST", "path": "/v3/refund", "effect": effect})
    response = box.pay_api("POST", "/v3/refund/domestic/refunds", refund)
    assert response.status_code == status
    assert "wechatpay-signature" not in response.headers
    query = box.pay_api("GET", f"/v3/refund/domestic/refunds/{refund['out_refund_no']}")
    assert query.status_code == (200 if done else 404)


def test_slow_but_right(box) -> None:
    box.lever("faults", {"path": JSAPI, "effect": "slow", "seconds": 0.2})
    begun = time.monotonic()
    response = box.pay_api("POST", JSAPI, box.form())
    assert time.monotonic() - begun >= 0.2
    assert response.status_code == 200
    assert box.genuine(response.headers, response.content)


def queried(box, effect: str) -> httpx.Response:
    number = box.ordered()
    box.lever("faults", {"method": "GET", "path": "/v3/pay", "effect": effect})
    target = f"/v3/pay/transactions/out-trade-no/{number}?mchid={box.mch_id}"
    response = box.pay_api("GET", target)
    response.extensions["number"] = number
    assert response.status_code == 200
    return response


@pytest.mark.parametrize("effect", ["bad_response_signature", "probe", "wrong_signature"])
def test_answers_that_nobody_signed(box, effect) -> None:
    response = queried(box, effect)
    assert response.headers["wechatpay-signature"].startswith("WECHATPAY/SIGNTEST/") is (effect != "wrong_signature")
    with pytest.raises((InvalidSignature, ValueError)):
        box.genuine(response.headers, response.content)


def test_answers_rightly_signed_and_wrong_all_the_same(box) -> None:
    stale = queried(box, "stale_timestamp")
    assert box.genuine(stale.headers, stale.content)
    assert 590 < time.time() - int(stale.headers["wechatpay-timestamp"]) < 610
    cut = queried(box, "truncated_json")
    assert box.genuine(cut.headers, cut.content)
    with pytest.raises(ValueError, match=r"JSON|Expecting|Unterminated|delimiter"):
        cut.json()
    other = queried(box, "another_number")
    assert box.genuine(other.headers, other.content)
    assert other.json()["out_trade_no"] != other.extensions["number"]
    html = queried(box, "wrong_content_type")
    assert html.headers["content-type"] == "text/html"
    assert html.json()["trade_state"] == "NOTPAY"
    assert queried(box, "unknown_serial").headers["wechatpay-serial"] == "7" * 40


def test_the_platform_fails_by_errcode(box) -> None:
    box.lever("faults", {"path": "/sns/", "effect": "errcode", "errcode": -1})
    assert box.http.get("/sns/jscode2session").json()["errcode"] == -1
    assert box.http.get("/sns/jscode2session").json()["errcode"] == 41002


def test_faults_are_listed_and_forgotten(box) -> None:
    box.lever("faults", {"path": "/", "effect": "500", "times": 9})
    assert box.look("faults")["items"][0]["times"] == 9
    assert box.http.delete("/_sandbox/faults").status_code == 204
    assert box.look("faults")["items"] == []


@pytest.mark.parametrize("body", [{"path": "/", "effect": "none"}, {"path": "(", "effect": "500"}, {"effect": "500"}])
def test_faults_that_make_no_sense(box, body) -> None:
    assert box.http.post("/_sandbox/faults", json=body).status_code in {400, 409}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("clock/advance", {"seconds": -1}),
        ("clock/advance", {"seconds": 1e12}),
        ("clock/advance", {}),
        ("settings", {"surprise": 1}),
        ("settings", {"refund_delay_s": -1}),
        ("delivery", {"mode": "sometimes"}),
        ("merchant/balance", {"fen": -1}),
        ("codes", {"kind": "email", "user": "a"}),
        ("codes", {"kind": "login", "user": ""}),
        ("users", {"user": "a", "phone": "call me"}),
    ],
)
def test_levers_refuse_nonsense_with_a_sentence(box, path, body) -> None:
    response = box.http.post(f"/_sandbox/{path}", json=body)
    assert response.status_code in {400, 409}
    assert response.json()["detail"]


def test_pages_of_other_places_cannot_pull_levers(box) -> None:
    strange = box.http.post("/_sandbox/clock/advance", json={"seconds": 1}, headers={"Origin": "https://evil.example"})
    assert strange.status_code == 403
    own = box.http.post("/_sandbox/clock/advance", json={"seconds": 0}, headers={"Origin": box.url})
    assert own.status_code == 200


def test_the_levers_describe_themselves(box) -> None:
    described = box.http.get("/_sandbox/docs/openapi.json").json()
    assert "/_sandbox/payments/{out_trade_no}/pay" in described["paths"]
    assert not [path for path in described["paths"] if not path.startswith("/_sandbox")]
