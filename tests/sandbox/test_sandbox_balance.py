"""The merchant's account: what comes in can go out, and no more."""


def test_money_that_is_not_there_is_not_refunded(new_box) -> None:
    box = new_box()
    box.lever("merchant/withdraw", {"fen": 100_000_000})
    assert box.http.post("/_sandbox/merchant/withdraw", json={"fen": 1}).status_code == 409
    box.lever("merchant/balance", {"fen": "book"})
    number = box.paid()
    assert box.look("merchant/balance") == {"fen": 4175, "accounts": {"BASIC": 4175, "OPERATION": 10**8, "FEES": 10**8}}
    box.lever("merchant/withdraw", {"fen": 4000})
    assert box.refund(number, 1000).json()["code"] == "NOT_ENOUGH"
    box.lever("merchant/top-up", {"fen": 1000})
    assert box.refund(number, 1000).status_code == 200
    box.lever("clock/advance", {"seconds": 5})
    assert box.look("merchant/balance")["accounts"]["BASIC"] == box.look("settings")["balance_fen"] == 181
    kinds = [row["kind"] for row in box.look("movements")["items"]]
    assert kinds == ["refund", "top_up", "withdrawal", "payment", "withdrawal"]
