"""Refunds: accepted, refused, settled a little later."""

import re
import time

import pytest

REFUNDS = "/v3/refund/domestic/refunds"


def code(response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def settled(box, number: str) -> dict:
    until = time.monotonic() + 5
    while True:
        found = box.pay_api("GET", f"{REFUNDS}/{number}").json()
        if found["status"] != "PROCESSING":
            return found
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_refund_is_processing_first_and_done_a_second_later(box) -> None:
    order = box.paid()
    accepted = box.refund(order, 1000, reason="少一杯").json()
    assert accepted["status"] == "PROCESSING"
    assert "success_time" not in accepted
    assert re.fullmatch(r"503\d{26}", accepted["refund_id"])
    assert box.state(order) == "REFUND"
    assert accepted["amount"] | {"from": None} == {
        "total": 4200,
        "refund": 1000,
        "from": None,
        "payer_total": 4200,
        "payer_refund": 1000,
        "settlement_total": 4200,
        "settlement_refund": 1000,
        "discount_refund": 0,
        "currency": "CNY",
        "refund_fee": 6,
    }
    done = settled(box, accepted["out_refund_no"])
    assert done["status"] == "SUCCESS"
    assert done["success_time"].endswith("+08:00")


def test_the_latest_are_listed_and_more_of_them_when_asked_for(box) -> None:
    order = box.paid()
    numbers = [box.refund(order, 10).json()["out_refund_no"] for _ in range(3)]
    listed = [item["out_refund_no"] for item in box.http.get("/_sandbox/refunds?limit=2").json()["items"]]
    assert listed == numbers[:0:-1]
    assert len(box.http.get("/_sandbox/refunds").json()["items"]) >= 3
    assert [item["out_trade_no"] for item in box.http.get("/_sandbox/payments?limit=1").json()["items"]] == [order]
    assert box.http.get("/_sandbox/payments?limit=0").status_code == 400


def test_a_jump_of_the_clock_settles(box) -> None:
    box.lever("settings", {"refund_delay_s": 3600})
    accepted = box.refund(box.paid(), 1).json()
    assert box.pay_api("GET", f"{REFUNDS}/{accepted['out_refund_no']}").json()["status"] == "PROCESSING"
    box.lever("clock/advance", {"seconds": 3600})
    assert box.pay_api("GET", f"{REFUNDS}/{accepted['out_refund_no']}").json()["status"] == "SUCCESS"


@pytest.mark.parametrize(
    "change",
    [
        {"amount": {"refund": 1, "total": 4200}},
        {"amount": {"refund": 0, "total": 4200, "currency": "CNY"}},
        {"amount": {"refund": "1", "total": 4200, "currency": "CNY"}},
        {"out_refund_no": "R" * 65},
        {"out_refund_no": "R/1"},
        {"out_refund_no": None},
        {"reason": "少" * 27},
        {"mchid": "1900000001"},
        {"funds_account": "POCKET"},
        {"notify_url": "https://shop.example.com/n?x"},
    ],
)
def test_bodies_that_do_not_fit(box, change) -> None:
    assert code(box.refund("T123456", 1, **change)) == (400, "PARAM_ERROR")


def test_one_of_both_numbers_is_needed(box) -> None:
    form = box.refund_form("x", 1)
    del form["out_trade_no"]
    assert code(box.pay_api("POST", REFUNDS, form)) == (400, "PARAM_ERROR")


def test_unknown_ones(box) -> None:
    assert code(box.refund("T-unknown", 1)) == (404, "RESOURCE_NOT_EXISTS")
    assert code(box.pay_api("GET", f"{REFUNDS}/R-unknown")) == (404, "RESOURCE_NOT_EXISTS")


def test_by_transaction_id_and_both_must_name_one_order(box) -> None:
    order, other = box.paid(), box.paid()
    target = f"/v3/pay/transactions/out-trade-no/{order}?mchid={box.mch_id}"
    transaction_id = box.pay_api("GET", target).json()["transaction_id"]
    assert box.refund(order, 1, transaction_id=transaction_id).status_code == 200
    assert code(box.refund(other, 1, transaction_id=transaction_id)) == (404, "RESOURCE_NOT_EXISTS")
    form = box.refund_form(order, 1, transaction_id=transaction_id)
    del form["out_trade_no"]
    assert box.pay_api("POST", REFUNDS, form).json()["out_trade_no"] == order


def test_only_what_was_paid_comes_back(box) -> None:
    assert code(box.refund(box.ordered(), 1)) == (400, "INVALID_REQUEST")
    order = box.paid()
    assert code(box.refund(order, 4201)) == (400, "INVALID_REQUEST")
    wrong_total = {"refund": 1, "total": 4199, "currency": "CNY"}
    assert code(box.refund(order, 1, amount=wrong_total)) == (400, "INVALID_REQUEST")
    assert box.refund(order, 4000).status_code == 200
    assert code(box.refund(order, 201)) == (400, "INVALID_REQUEST")
    assert box.refund(order, 200).status_code == 200


def test_the_same_number_is_the_same_refund(box) -> None:
    order = box.paid()
    form = box.refund_form(order, 4200)
    first = box.pay_api("POST", REFUNDS, form).json()
    again = box.pay_api("POST", REFUNDS, form)
    assert again.status_code == 200
    assert again.json()["refund_id"] == first["refund_id"]
    other = form | {"amount": form["amount"] | {"refund": 1}}
    response = box.pay_api("POST", REFUNDS, other)
    assert code(response) == (400, "INVALID_REQUEST")
    assert response.json()["message"] == "您的请求参数与订单信息不一致"


def test_fifty_parts_at_most(box) -> None:
    order = box.paid()
    assert {box.refund(order, 1).status_code for _ in range(50)} == {200}
    assert code(box.refund(order, 1)) == (400, "INVALID_REQUEST")


def test_a_minute_between_parts_when_wanted(box) -> None:
    box.lever("settings", {"refund_gap_s": 60})
    order = box.paid()
    assert box.refund(order, 1).status_code == 200
    assert code(box.refund(order, 1)) == (400, "INVALID_REQUEST")
    box.lever("clock/advance", {"seconds": 60})
    assert box.refund(order, 1).status_code == 200


def test_within_a_year(box) -> None:
    order = box.paid()
    box.lever("clock/advance", {"seconds": 365 * 86400 - 60})
    assert box.refund(order, 1).status_code == 200
    box.lever("clock/advance", {"seconds": 120})
    assert code(box.refund(order, 1)) == (400, "INVALID_REQUEST")


def test_an_empty_balance_and_the_same_number_after_topping_up(box) -> None:
    order = box.paid()
    form = box.refund_form(order, 1000)
    box.lever("merchant/balance", {"fen": 993})
    assert code(box.pay_api("POST", REFUNDS, form)) == (403, "NOT_ENOUGH")
    assert box.pay_api("GET", f"{REFUNDS}/{form['out_refund_no']}").status_code == 404
    box.lever("merchant/balance", {"fen": 994})  # six fen of the fee come back with it
    assert box.pay_api("POST", REFUNDS, form).status_code == 200
    assert box.look("settings")["balance_fen"] == 0
    box.lever("merchant/balance", {"fen": None})


def test_accounts_to_take_from_must_sum_up(box) -> None:
    order = box.paid()
    parts = [{"account": "AVAILABLE", "amount": 3}, {"account": "UNAVAILABLE", "amount": 4}]
    amount = {"refund": 7, "total": 4200, "currency": "CNY", "from": parts}
    assert box.refund(order, 7, amount=amount).json()["amount"]["from"] == parts
    assert code(box.refund(order, 8, amount=amount | {"refund": 8})) == (400, "INVALID_REQUEST")


def test_a_closed_account(box) -> None:
    order = box.paid(payer={"openid": box.openid("gone")})
    box.lever("users", {"user": "gone", "account_closed": True})
    assert code(box.refund(order, 1)) == (403, "USER_ACCOUNT_ABNORMAL")


def test_outcomes_by_hand(box) -> None:
    box.lever("settings", {"refund_delay_s": 3600})
    order = box.paid()
    number = box.refund(order, 4200).json()["out_refund_no"]
    assert box.lever(f"refunds/{number}/state", {"status": "ABNORMAL"})["status"] == "ABNORMAL"
    assert code(box.refund(order, 1)) == (400, "INVALID_REQUEST")  # the money still waits for the payer
    assert box.lever(f"refunds/{number}/state", {"status": "CLOSED"})["status"] == "CLOSED"
    refused = box.http.post(f"/_sandbox/refunds/{number}/state", json={"status": "SUCCESS"})
    assert refused.status_code == 409
    assert box.refund(order, 4200).status_code == 200  # a closed one frees its money for a new number
    unknown = box.http.post("/_sandbox/refunds/nothing/state", json={"status": "SUCCESS"})
    assert unknown.status_code == 404


def test_totals_for_an_audit(box) -> None:
    box.lever("clock/advance", {"seconds": 3600})  # let what other tests began come to its end
    before = box.look("totals")
    order = box.paid()
    number = box.refund(order, 1000).json()["out_refund_no"]
    settled(box, number)
    after = box.look("totals")
    assert after["paid_fen"] - before["paid_fen"] == 4200
    assert after["refunded_count"] - before["refunded_count"] == 1
    assert after["refunded_fen"] - before["refunded_fen"] == 1000


def test_parts_of_the_fee_come_back_and_together_all_of_it(box) -> None:
    order = box.paid(amount={"total": 4200, "currency": "CNY"})
    fees = [box.refund(order, fen).json()["amount"]["refund_fee"] for fen in (1, 1000, 1999, 1200)]
    assert sum(fees) == 25
    assert fees == [0, 6, 12, 7]


def test_a_coupon_that_nobody_funded_makes_the_refund_smaller(box) -> None:
    order = box.ordered()
    box.lever(f"payments/{order}/pay", {"coupon_fen": 420, "coupon_kind": "NOCASH"})
    target = f"/v3/pay/transactions/out-trade-no/{order}?mchid={box.mch_id}"
    (coupon,) = box.pay_api("GET", target).json()["promotion_detail"]
    assert (coupon["type"], coupon["amount"]) == ("NOCASH", 420)
    refund = box.refund(order, 1000).json()
    amount = refund["amount"]
    assert (amount["payer_refund"], amount["discount_refund"]) == (900, 100)
    assert (amount["settlement_total"], amount["settlement_refund"]) == (3780, 900)
    assert refund["promotion_detail"][0]["type"] == "DISCOUNT"


def test_a_refund_made_in_the_portal(box, inbox) -> None:
    order = box.paid()
    quiet = box.lever("refunds", {"out_trade_no": order, "amount_fen": 100})
    told = box.lever("refunds", {"out_trade_no": order, "amount_fen": 200, "notify_url": inbox.url})
    assert settled(box, quiet["out_refund_no"])["status"] == "SUCCESS"
    inbox.wait(1)
    assert box.look(f"notifications?subject={quiet['out_refund_no']}")["items"] == []
    assert box.look(f"notifications?subject={told['out_refund_no']}")["items"][0]["event_type"] == "REFUND.SUCCESS"
    assert box.state(order) == "REFUND"
    lever = box.http.post("/_sandbox/refunds", json={"out_trade_no": order, "amount_fen": 5000})
    assert lever.status_code == 409
    lever = box.http.post("/_sandbox/refunds", json={"out_trade_no": "nobody", "amount_fen": 1})
    assert lever.status_code == 404
