"""One Idempotency-Key, again and again: the same wish is granted once and answered alike, another wish is none of its business."""

from collections import Counter
from typing import Any

import httpx
import pytest
from battle import Battle
from processes import broken, name
from rushing import at_once, twins, with_one_key
from till import Buyer, Client, Operator, until
from trialing import Rounds

CROWD = 50


@pytest.mark.trial("R2")
def test_fifty_times_the_same_key(battle: Battle, rounds: Rounds) -> None:
    """Place, prepay, cancel, ship and refund: done once, and the same answer fifty times."""
    buyers, staff = twins(battle.buyer(name("ten")), Buyer, battle), twins(battle.operator(), Operator, battle)
    sku = buyers[0].some_sku(1)["id"]
    _fill(staff[0], sku)
    for _ in range(rounds(1, 20)):
        bought, dropped = (_placed(buyers, sku) for _ in range(2))
        prepaid = [_same(buyers, f"/api/v1/orders/{no}/prepay", None)["package"] for no in (bought, dropped)]
        assert len(set(prepaid)) == 2
        _same(buyers, f"/api/v1/orders/{dropped}/cancel", {"reason": "不要"})
        battle.pay(battle.attempt(bought))
        paid = buyers[0].becomes(bought, "paid")
        _same(staff, f"/admin/v1/orders/{bought}/ship", {"carrier": "SF", "trackingNo": "SF1234567890123"})
        lines = [{"lineId": paid["lines"][0]["id"], "quantity": 1}]
        _same(staff, f"/admin/v1/orders/{bought}/refunds", {"reason": "少", "lines": lines}, 201)
        assert _counted(battle, [bought, dropped]) == (2, 2, 1, 1)
    assert broken(battle.owner_url) == {}


def _fill(operator: Operator, sku: str) -> None:
    wish = {"available": 5000, "reason": "盘点"}
    assert operator.until_answered("PUT", f"/admin/v1/stock/{sku}", wish).status_code == 200


def _placed(buyers: list[Any], sku: str) -> str:
    return str(_same(buyers, "/api/v1/orders", buyers[0].wish(sku, 2), 201)["no"])


def _same(clients: list[Any], path: str, body: Any, status: int = 200) -> dict[str, Any]:
    answers = with_one_key(clients, path, body, name("key"), CROWD)
    assert {answer.status_code for answer in answers} == {status}, answers[0].text
    assert len({answer.text for answer in answers}) == 1
    return dict(answers[0].json())


def _counted(battle: Battle, nos: list[str]) -> tuple[int, ...]:
    """Orders, attempts, refunds, parcels."""
    row = battle.fetch(
        """SELECT (SELECT count(*) FROM orders WHERE no = ANY($1)), (SELECT count(*) FROM payment WHERE payable = ANY($1)),
        (SELECT count(*) FROM refund WHERE payable = ANY($1)),
        (SELECT count(*) FROM parcel p JOIN orders o ON o.id = p.order_id WHERE o.no = ANY($1))""",
        nos,
    )[0]
    return tuple(row)


@pytest.mark.trial("R3")
def test_the_key_of_another_wish(battle: Battle, rounds: Rounds) -> None:
    """At once, with one key: two bodies (one is refused with 422), another route and another member (each gets its own)."""
    buyers, stranger = twins(battle.buyer(name("key")), Buyer, battle), battle.buyer(name("other"), 1)
    sku = buyers[0].some_sku(1)["id"]
    _fill(battle.operator(), sku)
    wishes = [buyers[0].wish(sku, quantity) for quantity in (1, 2)]
    no = buyers[0].order(sku)["no"]
    for _ in range(rounds(10, 300)):
        key = name("key")
        asks = [
            (buyers[0], "/api/v1/orders", wishes[0]),
            (buyers[1], "/api/v1/orders", wishes[1]),
            (buyers[0], f"/api/v1/orders/{no}/prepay", None),
            (stranger, "/api/v1/orders", wishes[0]),
        ]
        first, second, prepaid, others = at_once(len(asks), lambda n, asks=asks, key=key: _settled(*asks[n], key))
        assert Counter([first.status_code, second.status_code]) == {201: 1, 422: 1}, (first.text, second.text)
        (refused,) = (answer for answer in (first, second) if answer.status_code == 422)
        assert refused.json()["code"] == "key_reused"
        assert prepaid.status_code == 200, prepaid.text
        assert others.status_code == 201, others.text
        placed = battle.fetch(
            "SELECT answer->>'no' FROM idempotency_key WHERE key = $1 AND operation = 'placeOrder'", key
        )
        assert len({row[0] for row in placed}) == 2, "one order of each member"
        for client, answer in ((buyers[0], first), (buyers[0], second), (stranger, others)):  # so many may be unpaid
            if answer.status_code == 201:
                assert client.until_answered("POST", f"/api/v1/orders/{answer.json()['no']}/cancel", {}).is_success
    assert broken(battle.owner_url) == {}


def _settled(client: Client, path: str, body: Any, key: str) -> httpx.Response:
    """Told to wait, a client asks again."""
    return until("an answer", lambda: _unless_told_to_wait(client.post(path, body, key=key)), 60)


def _unless_told_to_wait(answer: httpx.Response) -> httpx.Response | None:
    return None if "retry-after" in answer.headers else answer
