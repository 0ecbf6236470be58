"""The last pieces, through two processes: they are sold once, and whoever comes too late is told so."""

from collections import Counter

import pytest
from battle import Battle
from processes import broken
from rushing import at_once, buyers
from till import until
from trialing import Rounds

CROWD, PIECES = 100, 10


@pytest.mark.trial("R1")
def test_a_hundred_want_the_last_ten(battle: Battle, rounds: Rounds) -> None:
    crowd = buyers(battle, CROWD)
    sku = crowd[0].some_sku(1)["id"]
    battle.world.skip(minutes=31)
    until("no order of an earlier trial can give a piece back", battle.settled, 120)
    _leave(battle, sku, PIECES)
    wish = crowd[0].wish(sku)
    for _ in range(rounds(2, 100)):
        answers = at_once(CROWD, lambda number: crowd[number].until_answered("POST", "/api/v1/orders", wish))
        assert Counter(answer.status_code for answer in answers) == {201: PIECES, 409: CROWD - PIECES}
        assert {a.json()["code"] for a in answers if a.status_code == 409} == {"out_of_stock"}
        assert _available(battle, sku) == 0
        battle.world.skip(minutes=31)
        until("what nobody paid for is on sale again", lambda: _available(battle, sku) == PIECES, 120)
    assert broken(battle.owner_url) == {}


def _available(battle: Battle, sku: str) -> int:
    return int(battle.fetch("SELECT available FROM stock WHERE sku_id = $1", int(sku))[0][0])


def _leave(battle: Battle, sku: str, pieces: int) -> None:
    answer = battle.operator().until_answered("PUT", f"/admin/v1/stock/{sku}", {"available": pieces, "reason": "盘点"})
    assert answer.status_code == 200, answer.text
