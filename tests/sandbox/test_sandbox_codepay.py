"""The payer's code at a till: paid at once, after a password, or not; undone by a reverse."""

import pytest

CODEPAY = "/v3/pay/transactions/codepay"


def scanned(box, user: str = "carol", **changes: object) -> dict:
    """The body of a payment by a fresh code of ``user``."""
    form = box.form()
    del form["notify_url"]
    code = box.lever("codes", {"kind": "payment", "user": user})["code"]
    return form | {"payer": {"auth_code": code}, "scene_info": {"store_info": {"id": "S1"}}} | changes


def code(response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def reverse(box, number: str):
    target = f"/v3/pay/transactions/out-trade-no/{number}/reverse"
    return box.pay_api("POST", target, {"appid": box.app_id, "mchid": box.mch_id})


def refunds_of(box, number: str) -> list[dict]:
    return [item for item in box.look("refunds")["items"] if item["out_trade_no"] == number]


def test_paid_at_once_and_told_by_nobody(box) -> None:
    form = scanned(box, attach="till=1")
    response = box.pay_api("POST", CODEPAY, form)
    paid = response.json()
    assert response.status_code == 200
    assert box.genuine(response.headers, response.content)
    assert (paid["trade_type"], paid["trade_state"], paid["attach"]) == ("MICROPAY", "SUCCESS", "till=1")
    assert paid["payer"] == {"openid": box.openid("carol")}
    assert paid["amount"]["total"] == 4200
    assert box.state(form["out_trade_no"]) == "SUCCESS"
    assert box.look(f"notifications?subject={form['out_trade_no']}")["items"] == []
    assert code(box.pay_api("POST", CODEPAY, form)) == (400, "ORDERPAID")


@pytest.mark.parametrize("answer", ["202", "200"])
def test_a_password_first(box, answer) -> None:
    box.lever("settings", {"code_payment": "password", "user_paying": answer})
    form = scanned(box)
    number = form["out_trade_no"]
    for _ in range(2):  # asked for again, it is the same payment
        response = box.pay_api("POST", CODEPAY, form)
        assert response.status_code == int(answer)
        assert box.genuine(response.headers, response.content)
        said = response.json()
        assert (said["code"] if answer == "202" else said["trade_state"]) == "USERPAYING"
    assert box.state(number) == "USERPAYING"
    assert code(box.pay_api("POST", CODEPAY, form | {"description": "else"})) == (403, "OUT_TRADE_NO_USED")
    assert [item["state"] for item in box.look("payments?state=USERPAYING")["items"]].count("USERPAYING") >= 1
    assert box.lever(f"payments/{number}/pay", {"coupon_fen": 100})["trade_state"] == "SUCCESS"
    assert box.http.post(f"/_sandbox/payments/{number}/pay").status_code == 409
    assert box.state(number) == "SUCCESS"


def test_the_payer_taps_it_away(box) -> None:
    box.lever("settings", {"code_payment": "password"})
    form = scanned(box)
    box.pay_api("POST", CODEPAY, form)
    assert box.lever(f"payments/{form['out_trade_no']}/cancel")["state"] == "PAYERROR"
    assert box.state(form["out_trade_no"]) == "PAYERROR"
    assert code(box.pay_api("POST", CODEPAY, form)) == (400, "ORDER_CLOSED")


def test_a_payment_that_fails(box) -> None:
    box.lever("settings", {"code_payment": "error"})
    assert box.pay_api("POST", CODEPAY, scanned(box)).json()["trade_state"] == "PAYERROR"


def test_a_reverse_closes_what_is_not_paid(box) -> None:
    box.lever("settings", {"code_payment": "password"})
    form = scanned(box)
    number = form["out_trade_no"]
    box.pay_api("POST", CODEPAY, form)
    assert code(reverse(box, number)) == (400, "INVALID_REQUEST"), "not within fifteen seconds"
    box.lever("clock/advance", {"seconds": 15})
    for _ in range(2):
        response = reverse(box, number)
        assert response.json() == {"appid": box.app_id, "mchid": box.mch_id, "out_trade_no": number}
    assert box.state(number) == "REVOKED"
    assert refunds_of(box, number) == []
    assert box.http.post(f"/_sandbox/payments/{number}/pay").status_code == 409


def test_a_reverse_refunds_what_is_paid(box) -> None:
    form = scanned(box)
    number = form["out_trade_no"]
    box.pay_api("POST", CODEPAY, form)
    box.lever("clock/advance", {"seconds": 15})
    assert reverse(box, number).status_code == 200
    assert box.state(number) == "REVOKED"
    box.lever("clock/advance", {"seconds": 2})
    assert [(item["status"], item["amount"]["refund"]) for item in refunds_of(box, number)] == [("SUCCESS", 4200)]
    assert reverse(box, number).status_code == 200
    assert len(refunds_of(box, number)) == 1
    assert code(box.refund(number, 1))[1] == "INVALID_REQUEST"


def test_what_cannot_be_reversed(box, new_box) -> None:
    assert code(reverse(box, box.paid())) == (400, "INVALID_REQUEST")
    assert code(reverse(box, "T-nobody-knows")) == (404, "ORDER_NOT_EXIST")
    other = new_box()
    form = scanned(other)
    other.pay_api("POST", CODEPAY, form)
    other.lever("clock/advance", {"seconds": 7 * 86400 + 60})
    assert code(reverse(other, form["out_trade_no"])) == (400, "INVALID_REQUEST")


def test_a_partly_refunded_one_is_refunded_not_reversed(box) -> None:
    form = scanned(box)
    box.pay_api("POST", CODEPAY, form)
    assert box.refund(form["out_trade_no"], 100).status_code == 200
    box.lever("clock/advance", {"seconds": 20})
    assert code(reverse(box, form["out_trade_no"])) == (400, "INVALID_REQUEST")


def test_it_is_never_closed_only_reversed(box) -> None:
    form = scanned(box)
    box.pay_api("POST", CODEPAY, form)
    target = f"/v3/pay/transactions/out-trade-no/{form['out_trade_no']}/close"
    response = box.pay_api("POST", target, {"mchid": box.mch_id})
    assert code(response) == (400, "INVALID_REQUEST")
    assert response.headers["request-id"].endswith("-268449641")


def test_a_code_is_good_once_and_for_two_minutes(box) -> None:
    form = scanned(box)
    assert box.pay_api("POST", CODEPAY, form).status_code == 200
    again = scanned(box) | {"payer": form["payer"]}
    assert code(box.pay_api("POST", CODEPAY, again)) == (400, "INVALID_REQUEST")
    old = scanned(box)
    box.lever("clock/advance", {"seconds": 121})
    assert code(box.pay_api("POST", CODEPAY, old)) == (400, "INVALID_REQUEST")
    unknown = scanned(box) | {"payer": {"auth_code": "130000000000000000"}}
    assert code(box.pay_api("POST", CODEPAY, unknown)) == (400, "INVALID_REQUEST")


def test_a_closed_account_pays_nothing(box) -> None:
    box.lever("users", {"user": "gone", "account_closed": True})
    assert code(box.pay_api("POST", CODEPAY, scanned(box, "gone"))) == (403, "USER_ACCOUNT_ABNORMAL")


@pytest.mark.parametrize(
    "change",
    [
        {"notify_url": "https://shop.example.com/n"},
        {"time_expire": "2030-01-01T00:00:00+08:00"},
        {"limit_pay": ["no_credit"]},
        {"scene_info": {}},
        {"payer": {"auth_code": "160000000000000000"}},
        {"payer": {"auth_code": "13000000000000000"}},
        {"payer": {"openid": "oabcdefghijk"}},
        {"amount": {"total": 0}},
    ],
)
def test_bodies_that_do_not_fit(box, change) -> None:
    assert code(box.pay_api("POST", CODEPAY, scanned(box, **change))) == (400, "PARAM_ERROR")
