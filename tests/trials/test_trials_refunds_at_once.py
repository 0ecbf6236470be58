"""Refunds at once, by two operators, with WeChat's answers lost: never more than was paid, and WeChat holds exactly ours."""

import random
import time
from collections import Counter
from typing import Any

import pytest
from battle import Battle
from processes import broken, name
from rushing import at_once, buyers, twins
from till import Buyer, Operator, until
from trialing import Rounds

FAULTS = ["500", "500_after", "502_html", "429_after", "bad_response_signature", "unsigned"]
AT_ONCE = 10
"""Orders whose refunds are under way together: WeChat takes the parts of each a minute apart."""


@pytest.fixture
def staff(battle: Battle) -> list[list[Any]]:
    """Two people, each at both doors."""
    first = battle.operator()
    login, password = name("second"), name("a-long-password")
    new = {"login": login, "name": "李四", "password": password, "role": "manager"}
    assert first.until_answered("POST", "/admin/v1/staff", new).status_code == 201
    second = Operator(*battle.urls).sign_in(login, password)
    return [twins(person, Operator, battle) for person in (first, second)]


@pytest.mark.trial("R8")
def test_four_parts_above_the_whole(
    battle: Battle, staff: list[list[Any]], rounds: Rounds, chance: random.Random
) -> None:
    """Each part is asked for twice with its key, and what becomes of the first calls to WeChat nobody knows."""
    (buyer,) = buyers(battle, 1)
    sku = buyer.some_sku(1)["id"]
    wish = {"available": 5000, "reason": "盘点"}
    assert staff[0][0].until_answered("PUT", f"/admin/v1/stock/{sku}", wish).status_code == 200
    left = rounds(4, 300)
    while left > 0:
        paid = [_paid(battle, buyer, sku) for _ in range(min(left, AT_ONCE))]
        for effect in chance.choices(FAULTS, k=len(paid)):
            battle.world.faults(method="POST", path=".*/refunds", effect=effect, times=1)
        for order in paid:
            _refund_in_parts(staff, order, chance)
        _come_to_rest(battle, [order["no"] for order in paid])
        battle.world.heal()
        _both_sides_agree(battle, paid)
        left -= len(paid)
    assert broken(battle.owner_url) == {}


def _paid(battle: Battle, buyer: Buyer, sku: str, quantity: int = 3) -> dict[str, Any]:
    order = buyer.order(sku, quantity)
    assert buyer.until_answered("POST", f"/api/v1/orders/{order['no']}/prepay").status_code == 200
    assert battle.pay(battle.attempt(order["no"]))
    return buyer.becomes(order["no"], "paid")


def _refund_in_parts(staff: list[list[Any]], order: dict[str, Any], chance: random.Random) -> None:
    """Four amounts of which only some fit: as many are granted as fit, whoever came first."""
    total = order["totalFen"]
    parts = [chance.randint(total // 3, total * 2 // 3) for _ in range(4)]
    keys = [name("part") for _ in parts]

    def ask(number: int) -> Any:
        part, door = divmod(number, 2)
        body = {"reason": "少发", "amountFen": parts[part]}
        path = f"/admin/v1/orders/{order['no']}/refunds"
        client = staff[part % 2][door]
        return until("an answer", lambda: _unless_busy(client.post(path, body, key=keys[part])))

    answers = at_once(8, ask)
    twice = list(zip(answers[::2], answers[1::2], strict=True))
    granted = [part for part, (answer, _) in zip(parts, twice, strict=True) if answer.status_code == 201]
    for one, other in twice:
        assert one.status_code == other.status_code in {201, 422}, one.text
        assert one.status_code == 422 or one.json() == other.json()
    assert granted
    assert sum(granted) <= total
    refused = [part for part in parts if part not in granted]
    assert all(part > total - sum(granted) for part in refused), "there was room for it"


def _unless_busy(answer: Any) -> Any:
    return None if "retry-after" in answer.headers else answer


def _come_to_rest(battle: Battle, nos: list[str]) -> None:
    """Time passes until every part has ended: the parts of one payment go out a minute apart."""
    under_way = "SELECT count(*) FROM refund WHERE payable = ANY($1) AND state <> 'succeeded'"

    def ended() -> bool:
        if battle.fetch(under_way, nos)[0][0] == 0:
            return True
        battle.world.skip(seconds=70)
        time.sleep(0.5)  # the workers look once a second
        return False

    until("the refunds end", ended, 120)


def _both_sides_agree(battle: Battle, paid: list[dict[str, Any]]) -> None:
    numbers = {battle.attempt(order["no"]): order for order in paid}
    theirs = [refund for refund in battle.world.refunds() if refund["out_trade_no"] in numbers]
    ours = battle.fetch(
        "SELECT out_refund_no, amount_fen FROM refund WHERE payable = ANY($1)", [order["no"] for order in paid]
    )
    held = {refund["out_refund_no"]: refund["amount"]["refund"] for refund in theirs}
    assert held == {row["out_refund_no"]: row["amount_fen"] for row in ours}
    for number, order in numbers.items():
        back = sum(refund["amount"]["refund"] for refund in theirs if refund["out_trade_no"] == number)
        assert 0 < back <= order["totalFen"]


@pytest.mark.trial("R8")
def test_two_operators_want_the_same_pieces_back(battle: Battle, staff: list[list[Any]]) -> None:
    (buyer,) = buyers(battle, 1)
    order = _paid(battle, buyer, buyer.some_sku(3)["id"])
    (line,) = (line["id"] for line in order["lines"])
    answers = at_once(6, lambda number: staff[number % 2][0].refund(order["no"], {line: 1}))
    assert Counter(answer.status_code for answer in answers) == {201: 3, 422: 3}
    _come_to_rest(battle, [order["no"]])
    seen = buyer.becomes(order["no"], "refunded")
    assert sum(refund["amountFen"] for refund in seen["refunds"]) == order["totalFen"]


@pytest.mark.trial("R8")
def test_the_merchants_purse_is_empty_and_then_filled(battle: Battle) -> None:
    """NOT_ENOUGH is tried again under the same number, and nobody has to ask for it."""
    (buyer,) = buyers(battle, 1)
    order = _paid(battle, buyer, buyer.some_sku(3)["id"], 1)
    (line,) = (line["id"] for line in order["lines"])
    battle.world.tell("merchant/balance", fen=0)
    assert battle.operator().refund(order["no"], {line: 1}).status_code == 201
    query = "SELECT out_refund_no, last_error FROM refund WHERE payable = $1"
    until("the refusal", lambda: (battle.fetch(query, order["no"])[0]["last_error"] or "").find("NOTENOUGH") >= 0)
    (before,) = battle.fetch(query, order["no"])
    battle.world.tell("merchant/balance", fen=None)
    battle.world.skip(seconds=11)  # the first of its growing pauses
    buyer.becomes(order["no"], "refunded", patience_s=40)
    (after,) = battle.fetch(query, order["no"])
    assert before["out_refund_no"] == after["out_refund_no"]
