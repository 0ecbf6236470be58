"""A whole purchase against somebody else's WeChat Pay, pointed at by the settings of the environment only."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peer import Fault, Habits, Peer
from processes import Whole, broken, name
from till import Buyer, Operator, until


class Street:
    """The shop as `make run` starts it, the peer across the street, an operator behind the counter."""

    def __init__(self, peer: Peer, whole: Whole) -> None:
        self.peer, self.whole = peer, whole
        self.operator = Operator(whole.url).sign_in(*whole.operator())
        self.own_platform = False

    def buyer(self) -> Buyer:
        code = secrets.token_hex(8) if self.own_platform else self.whole.code(name("peer"))
        return Buyer(self.whole.url).sign_in(lambda: code)

    def attempt(self, order: dict[str, Any]) -> str:
        """The number under which the peer knows the order's latest attempt."""
        listed = self.operator.get("/admin/v1/payments", payable=order["no"])["items"]
        return str(listed[0]["outTradeNo"])

    def prepaid(self, buyer: Buyer, quantity: int = 1) -> tuple[dict[str, Any], str]:
        order = buyer.order(buyer.some_sku()["id"], quantity)
        answer = buyer.until_answered("POST", f"/api/v1/orders/{order['no']}/prepay")
        assert answer.status_code == 200, answer.text
        number = self.attempt(order)
        self.peer.keys.pay_sign(self.peer.orders[number]["asked"]["appid"], answer.json())
        return order, number

    def kinds(self, reference: str) -> list[str]:
        return [case["kind"] for case in self.operator.cases() if case["reference"] == reference]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    folder = tmp_path_factory.mktemp("peer")
    peer = Peer(folder)
    whole = Whole(folder / "data", **peer.environment())
    try:
        yield Street(peer, whole)
        assert broken(whole.database()) == {}
    finally:
        whole.stop()
        peer.stop()


@pytest.fixture
def peer(street: Street) -> Iterator[Peer]:
    yield street.peer
    street.peer.faults.clear()
    street.peer.habits = Habits()
    street.peer.balance = None


def test_a_purchase_with_a_refund_and_a_cancelled_order(street: Street, peer: Peer) -> None:
    buyer = street.buyer()
    order, number = street.prepaid(buyer, 2)
    assert peer.tell(peer.pay(number)).status_code == 204
    paid = buyer.seen(order["no"])
    assert paid["state"] == "paid"
    sale = street.operator.refund(order["no"], {paid["lines"][0]["id"]: 1})
    assert sale.status_code == 201, sale.text
    out_refund_no = until("the refund", lambda: next(iter(peer.refunds), None))
    assert peer.refunds[out_refund_no]["amount"]["refund"] == sale.json()["amountFen"]
    assert peer.tell(peer.finish_refund(out_refund_no), "REFUND.SUCCESS").status_code == 204
    assert [refund["state"] for refund in buyer.seen(order["no"])["refunds"]] == ["succeeded"]
    second, number = street.prepaid(buyer)
    cancelled = buyer.post(f"/api/v1/orders/{second['no']}/cancel", {})
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert peer.orders[number]["state"] == "CLOSED"


def test_the_peers_own_platform(tmp_path: Path) -> None:
    """Both upstreams elsewhere: sign-in and payment with the peer's own appid."""
    peer = Peer(tmp_path)
    whole = Whole(tmp_path / "data", **peer.environment(), **peer.platform())
    try:
        street = Street(peer, whole)
        street.own_platform = True
        buyer = street.buyer()
        order, number = street.prepaid(buyer)
        assert peer.orders[number]["asked"]["appid"] == peer.appid
        assert peer.tell(peer.pay(number)).status_code == 204
        assert buyer.seen(order["no"])["state"] == "paid"
        assert broken(whole.database()) == {}
    finally:
        whole.stop()
        peer.stop()


LIES: list[tuple[dict[str, Any], str]] = [
    ({"amount": {"total": 1, "payer_total": 1, "currency": "CNY", "payer_currency": "CNY"}}, "amount_mismatch"),
    ({"mchid": "1900000109"}, "wrong_account"),
    ({"appid": "wx0000000000000000"}, "wrong_account"),
    ({"out_trade_no": "P_never_seen_by_us"}, "unknown_order"),
    ({"amount": {"total": 0, "currency": "CNY"}}, "strange_notice"),
    ({"amount": {"total": 10**30, "currency": "CNY"}}, "strange_notice"),
    ({"trade_state": "NOTPAY"}, "strange_notice"),
    ({"trade_state": "CLOSED"}, "strange_notice"),
    ({"transaction_id": "42\u0000"}, "strange_notice"),
    ({"trade_state": None}, "strange_notice"),
]


@pytest.mark.parametrize(("lie", "kind"), LIES)
def test_a_lie_is_a_case_and_pays_nothing(street: Street, peer: Peer, lie: dict[str, Any], kind: str) -> None:
    buyer = street.buyer()
    order, number = street.prepaid(buyer)
    plain = {**peer.pay(number), **lie}
    identity = secrets.token_hex(16)
    url = peer.orders[number]["asked"]["notify_url"]
    answer = peer.send(url, peer.told(plain, id=identity))
    assert answer.status_code == 204, answer.text
    reference = identity if kind == "strange_notice" else plain["transaction_id"]
    assert street.kinds(reference) == [kind]
    assert buyer.seen(order["no"])["state"] == "unpaid"
    peer.orders[number]["state"] = "NOTPAY"
    peer.orders[number]["trade"] = None


def test_another_currency_goes_back(street: Street, peer: Peer) -> None:
    buyer = street.buyer()
    order, number = street.prepaid(buyer)
    total = peer.orders[number]["asked"]["amount"]["total"]
    told = peer.pay(number, amount={"total": total, "currency": "USD"})
    assert peer.tell(told).status_code == 204
    assert buyer.seen(order["no"])["state"] == "unpaid"
    assert street.kinds(told["transaction_id"]) == ["amount_mismatch"]
    until("the refund", lambda: any(r["out_trade_no"] == number for r in peer.refunds.values()))


def test_another_payer_counts_and_is_looked_at(street: Street, peer: Peer) -> None:
    buyer = street.buyer()
    order, number = street.prepaid(buyer)
    told = peer.pay(number, payer={"openid": "oSomebodyElse"})
    assert peer.tell(told).status_code == 204
    assert buyer.seen(order["no"])["state"] == "paid"
    assert street.kinds(told["transaction_id"]) == ["other_payer"]


@pytest.mark.parametrize(
    "changed",
    [
        {"event": "TRANSACTION.SUCCESS", "original_type": "profitsharing"},
        {"event": "PROFITSHARING.SUCCESS"},
        {"event": "REFUND.SUCCESS"},
        {"event": "TRANSACTION.CLOSED", "original_type": "transaction"},
    ],
)
def test_other_news_on_the_same_door_pays_nothing(street: Street, peer: Peer, changed: dict[str, Any]) -> None:
    buyer = street.buyer()
    order, number = street.prepaid(buyer)
    identity = secrets.token_hex(16)
    plain = {**peer.transaction(number), "trade_state": "SUCCESS", "transaction_id": "4200" + identity[:20]}
    plain["success_time"] = "2026-01-01T08:01:09+08:00"
    event = changed.pop("event")
    assert peer.tell(plain, event, id=identity, **changed).status_code == 204
    assert buyer.seen(order["no"])["state"] == "unpaid"
    assert street.kinds(identity) == ["strange_notice"]


def test_forged_stale_replayed_and_doubled(street: Street, peer: Peer) -> None:
    buyer = street.buyer()
    order, number = street.prepaid(buyer)
    url = peer.orders[number]["asked"]["notify_url"]
    body = peer.told(peer.pay(number))
    assert peer.send(url, body, key=peer.keys.stranger).status_code == 401
    assert peer.send(url, body, age_s=400).status_code == 401
    assert peer.send(url, body, age_s=-400).status_code == 401
    assert buyer.seen(order["no"])["state"] == "unpaid"
    assert [peer.send(url, body).status_code for _ in range(4)] == [204] * 4
    assert peer.send(url, peer.told(peer.transaction(number))).status_code == 204  # the same news under another id
    assert buyer.seen(order["no"])["state"] == "paid"


def test_paid_twice(street: Street, peer: Peer) -> None:
    """A second transaction under the same number, and one transaction under two numbers: cases, never a crash."""
    buyer = street.buyer()
    order, number = street.prepaid(buyer)
    first = peer.pay(number)
    assert peer.tell(first).status_code == 204
    again = {**first, "transaction_id": f"{first['transaction_id'][:-8]}99999999"}
    assert peer.tell(again).status_code == 204
    assert street.kinds(again["transaction_id"]) == ["second_transaction"]
    other, other_number = street.prepaid(buyer)
    told = {**peer.transaction(other_number), **first, "out_trade_no": other_number}
    assert peer.tell(told).status_code == 204
    assert street.kinds(first["transaction_id"]) == ["reused_transaction"]
    assert [buyer.seen(o["no"])["state"] for o in (order, other)] == ["paid", "unpaid"]


HABITS = [
    Habits(paid_code="ORDER_PAID", unknown_order="ORDERNOTEXIST", request_id=False),
    Habits(unknown_order="RESOURCE_NOT_EXISTS", time_format="%Y-%m-%dT%H:%M:%S.000+08:00", sign_204=False),
    Habits(unknown_order="NOT_FOUND", time_format="%Y%m%d%H%M%S", more={"future": {"a": [None]}, "x": None}),
    Habits(unknown_status=400, time_format="%Y-%m-%d %H:%M:%S"),
]


@pytest.mark.trial("R19")
@pytest.mark.parametrize("habits", HABITS, ids=range(len(HABITS)))
def test_habits_on_which_descriptions_disagree(street: Street, peer: Peer, habits: Habits) -> None:
    peer.habits = habits
    buyer = street.buyer()
    order, number = street.prepaid(buyer)
    assert peer.tell(peer.pay(number), drop=["create_time", "summary", "associated_data"]).status_code in (204, 500)
    raced, number = street.prepaid(buyer)
    peer.pay(number)
    answer = buyer.post(f"/api/v1/orders/{raced['no']}/cancel", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "already_paid")
    unknown, number = street.prepaid(buyer)
    del peer.orders[number]
    closed, number = street.prepaid(buyer)
    for one in (unknown, closed):
        answer = buyer.post(f"/api/v1/orders/{one['no']}/cancel", {})
        assert (answer.status_code, answer.json().get("state")) == (200, "cancelled"), answer.text
    assert buyer.becomes(order["no"], "paid")


@pytest.mark.trial("R19")
@pytest.mark.parametrize("effect", ["500", "html", "reset", "forged"])
@pytest.mark.parametrize("after", [False, True])
def test_answers_that_do_not_arrive(street: Street, peer: Peer, effect: str, *, after: bool) -> None:
    """Create, query, close and refund each lose an answer; the same numbers carry on."""
    buyer = street.buyer()
    peer.faults.append(Fault("POST", "/jsapi$", effect, after))
    order, number = street.prepaid(buyer)
    assert sum(o["asked"]["description"].endswith(order["no"]) for o in peer.orders.values()) == 1
    told = peer.pay(number)
    peer.faults.append(Fault("GET", number, effect, after))
    assert buyer.until_answered("POST", f"/api/v1/orders/{order['no']}/payment/refresh").json()["state"] == "paid"
    assert peer.tell(told).status_code == 204
    before = set(peer.refunds)
    peer.faults.append(Fault("POST", "/refunds$", effect, after))
    lines = {line["id"]: line["quantity"] for line in buyer.seen(order["no"])["lines"]}
    assert street.operator.refund(order["no"], lines).status_code == 201
    (refund,) = until("the refund", lambda: set(peer.refunds) - before)
    assert peer.tell(peer.finish_refund(refund), "REFUND.SUCCESS").status_code == 204
    assert buyer.becomes(order["no"], "refunded")
    second, number = street.prepaid(buyer)
    peer.faults.append(Fault("POST", f"{number}/close", effect, after))
    buyer.until_answered("POST", f"/api/v1/orders/{second['no']}/cancel", {})
    assert buyer.becomes(second["no"], "cancelled")
    assert peer.orders[number]["state"] == "CLOSED"
