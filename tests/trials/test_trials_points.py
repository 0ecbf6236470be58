"""A process dies at each named point between two effects; whoever asked comes again, and everything comes to rest in balance."""

import random

import points
import pytest
from battle import Battle
from deeds import Deeds, restart
from drawing import drawn
from points import Point
from processes import Part
from till import until
from trialing import Rounds

pytestmark = pytest.mark.trial("R12")

_ROUNDS = 3
LEASE_AND_MINUTE_S = 15 + 60


def _die_at(battle: Battle, deeds: Deeds, part: Part, point: Point) -> None:
    mark = restart(battle, part, point.place)
    battle.await_doors()
    deeds.do(point.deed)
    until(f"{point.place} is reached by {point.deed}", mark.exists, 60)
    part.kill()
    for door in battle.serving:
        if door.process.poll() is not None:
            door.start()


def _rest(battle: Battle, deeds: Deeds) -> None:
    battle.heal()
    battle.verdict(deeds.acknowledged, patience_s=LEASE_AND_MINUTE_S)
    states = dict(battle.fetch("SELECT no, state FROM orders"))
    assert {no: states[no] for no in deeds.ends} == deeds.ends


def test_a_server_dies_at_every_point(battle: Battle, rounds: Rounds, chance: random.Random) -> None:
    deeds = Deeds(battle)
    for point in drawn(points.SERVING, rounds(4, _ROUNDS * len(points.SERVING)), chance):
        _die_at(battle, deeds, battle.serving[0], point)
    _rest(battle, deeds)


def test_a_worker_dies_at_every_point(battle: Battle, rounds: Rounds, chance: random.Random) -> None:
    """There is one worker; the other one comes back when all is over."""
    deeds = Deeds(battle)
    battle.working[1].kill()
    for point in drawn(points.WORKING, rounds(3, _ROUNDS * len(points.WORKING)), chance):
        _die_at(battle, deeds, battle.working[0], point)
    _rest(battle, deeds)
