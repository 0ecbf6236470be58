"""Many at once, through two processes: the last pieces are sold once, and a wish is granted once."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from battle import Battle
from processes import broken, name
from till import Buyer, Client, Operator, until


def at_once(count: int, ask: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(ask, range(count)))


def by_turns(clients: list[Any], path: str, body: Any, key: str) -> list[httpx.Response]:
    """The same wish with the same key, ten at once, through both doors; who is told to wait asks again."""

    def ask(number: int) -> httpx.Response:
        client: Client = clients[number % 2]
        return until("an answer", lambda: _not_busy(client.post(path, body, key=key)), 20)

    return at_once(10, ask)


def _not_busy(answer: httpx.Response) -> httpx.Response | None:
    return None if answer.status_code == 409 and answer.json()["code"] == "still_running" else answer


def twins(client: Client, kind: type[Any], battle: Battle) -> list[Any]:
    """The same person at both doors."""
    other = kind(*battle.urls[::-1])
    other.headers = client.headers
    return [client, other]


def test_twenty_want_the_last_five(battle: Battle) -> None:
    buyers = [battle.buyer(name("race"), number % 2) for number in range(20)]
    sku = buyers[0].some_sku(30)["id"]
    _leave(battle, sku, 5)
    wish = buyers[0].wish(sku)
    answers = at_once(20, lambda number: buyers[number].until_answered("POST", "/api/v1/orders", wish))
    assert Counter(answer.status_code for answer in answers) == {201: 5, 409: 15}
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"out_of_stock"}
    assert broken(battle.cluster.owner_url()) == {}


def _leave(battle: Battle, sku: str, pieces: int) -> None:
    answer = battle.operator().until_answered("PUT", f"/admin/v1/stock/{sku}", {"available": pieces, "reason": "盘点"})
    assert answer.status_code == 200, answer.text


def test_ten_times_the_same_key(battle: Battle) -> None:
    """Place, prepay, cancel, ship and refund: done once, and the same answer ten times."""
    buyers = twins(battle.buyer(name("ten")), Buyer, battle)
    sku = buyers[0].some_sku(30)["id"]
    orders = []
    for key in ("race-place-1", "race-place-2"):
        answers = by_turns(buyers, "/api/v1/orders", buyers[0].wish(sku, 2), key)
        orders.append(_same(answers, 201))
    bought, dropped = orders
    prepaid = [
        _same(by_turns(buyers, f"/api/v1/orders/{order['no']}/prepay", None, "race-prepay"), 200) for order in orders
    ]
    assert len({params["package"] for params in prepaid}) == 2
    _same(by_turns(buyers, f"/api/v1/orders/{dropped['no']}/cancel", {"reason": "不要"}, "race-cancel"), 200)
    battle.pay(battle.attempt(bought["no"]))
    paid = buyers[0].becomes(bought["no"], "paid")
    staff = twins(battle.operator(), Operator, battle)
    body = {"carrier": "SF", "trackingNo": "SF1234567890123"}
    _same(by_turns(staff, f"/admin/v1/orders/{bought['no']}/ship", body, "race-ship-1"), 200)
    lines = [{"lineId": paid["lines"][0]["id"], "quantity": 1}]
    _same(
        by_turns(staff, f"/admin/v1/orders/{bought['no']}/refunds", {"reason": "少", "lines": lines}, "race-refund"),
        201,
    )
    counts = battle.fetch(
        """SELECT (SELECT count(*) FROM orders WHERE no = ANY($1)), (SELECT count(*) FROM payment WHERE payable = ANY($1)),
        (SELECT count(*) FROM refund WHERE payable = ANY($1)),
        (SELECT count(*) FROM parcel p JOIN orders o ON o.id = p.order_id WHERE o.no = ANY($1))""",
        [order["no"] for order in orders],
    )[0]
    assert tuple(counts) == (2, 2, 1, 1)
    assert broken(battle.cluster.owner_url()) == {}


def _same(answers: list[httpx.Response], status: int) -> dict[str, Any]:
    assert {answer.status_code for answer in answers} == {status}, answers[0].text
    assert len({answer.text for answer in answers}) == 1
    return dict(answers[0].json())


def test_two_operators_want_the_same_pieces_back(battle: Battle) -> None:
    buyer = battle.buyer(name("two"))
    order = buyer.order(buyer.some_sku(30)["id"], 3)
    buyer.until_answered("POST", f"/api/v1/orders/{order['no']}/prepay")
    battle.pay(battle.attempt(order["no"]))
    line = buyer.becomes(order["no"], "paid")["lines"][0]["id"]
    operators = [battle.operator() for _ in range(2)]
    answers = at_once(6, lambda number: operators[number % 2].refund(order["no"], {line: 1}))
    assert Counter(answer.status_code for answer in answers) == {201: 3, 422: 3}
    sent = "SELECT count(*) FROM refund WHERE payable = $1 AND sent_at IS NOT NULL"
    for parts in (1, 2):  # they go out a minute apart
        until("a part is with WeChat", lambda so_far=parts: battle.fetch(sent, order["no"])[0][0] >= so_far)
        battle.world.skip(seconds=70)
    seen = buyer.becomes(order["no"], "refunded", patience_s=60)
    assert sum(refund["amountFen"] for refund in seen["refunds"]) == order["totalFen"]


def test_the_merchants_purse_is_empty_and_then_filled(battle: Battle) -> None:
    """NOT_ENOUGH is tried again under the same number, and nobody has to ask for it."""
    buyer = battle.buyer(name("poor"))
    order = buyer.order(buyer.some_sku(30)["id"])
    buyer.until_answered("POST", f"/api/v1/orders/{order['no']}/prepay")
    battle.pay(battle.attempt(order["no"]))
    line = buyer.becomes(order["no"], "paid")["lines"][0]["id"]
    battle.world.tell("merchant/balance", fen=0)
    assert battle.operator().refund(order["no"], {line: 1}).status_code == 201
    query = "SELECT out_refund_no, last_error FROM refund WHERE payable = $1"
    until("the refusal", lambda: (battle.fetch(query, order["no"])[0]["last_error"] or "").find("NOTENOUGH") >= 0)
    (before,) = battle.fetch(query, order["no"])
    battle.world.tell("merchant/balance", fen=None)
    buyer.becomes(order["no"], "refunded", patience_s=40)
    (after,) = battle.fetch(query, order["no"])
    assert before["out_refund_no"] == after["out_refund_no"]
