"""Workers are killed while WeChat does the work and loses the answer: each refund is made once, and the books agree."""

import random
import time

import pytest
from battle import Battle
from deeds import Deeds
from trialing import Rounds

_AT_ONCE = 4
_DECK = ["slow"] * 8 + ["500_after", "timeout_after"]
"""Of ten calls eight are answered rightly, one with a 500, one never (as far as we care to wait); all of them are done."""
_NET = """
    SELECT payable, sum(CASE WHEN debit = 'wechat' THEN amount_fen ELSE -amount_fen END) FROM posting
    WHERE payable = ANY($1) AND 'wechat' IN (debit, credit) GROUP BY payable HAVING
    sum(CASE WHEN debit = 'wechat' THEN amount_fen ELSE -amount_fen END) <> 0
"""


@pytest.mark.trial("R13")
def test_workers_are_killed_while_wechat_loses_answers(battle: Battle, rounds: Rounds, chance: random.Random) -> None:
    deeds, kills = Deeds(battle), rounds(3, 40)
    lines = _paid(deeds, kills * _AT_ONCE)
    operator, nos = battle.operator(), iter(lines)
    try:
        for _ in range(kills):
            _lose_answers(battle, chance)
            for no in (next(nos) for _ in range(_AT_ONCE)):
                assert operator.refund(no, {lines[no]: 1}).status_code == 201
            time.sleep(chance.uniform(0, 1.0))
            chance.choice(battle.working).kill()
            battle.heal()
        battle.verdict(deeds.acknowledged, patience_s=180)
    finally:
        battle.world.heal()
    _each_once(battle, list(lines))


def _paid(deeds: Deeds, count: int) -> dict[str, str]:
    """Orders that were paid, each with its line."""
    nos = [deeds.pay()[0] for _ in range(count)]
    return {no: deeds.buyer.becomes(no, "paid")["lines"][0]["id"] for no in nos}


def _lose_answers(battle: Battle, chance: random.Random) -> None:
    deck = _DECK * 2
    chance.shuffle(deck)
    for effect in deck:
        battle.world.faults(path="/v3/refund/", effect=effect, seconds=0.3 if effect == "slow" else 30)


def _each_once(battle: Battle, nos: list[str]) -> None:
    query = "SELECT out_refund_no, out_trade_no FROM refund JOIN payment ON payment.id = payment_id WHERE refund.payable = ANY($1)"
    ours = {row["out_refund_no"]: row["out_trade_no"] for row in battle.fetch(query, nos)}
    assert len(ours) == len(nos)
    made = [refund for refund in battle.world.refunds() if refund["out_trade_no"] in set(ours.values())]
    assert sorted(refund["out_refund_no"] for refund in made) == sorted(ours)
    assert battle.fetch(_NET, nos) == []
    states = dict(battle.fetch("SELECT no, state FROM orders WHERE no = ANY($1)", nos))
    assert set(states.values()) == {"refunded"}
