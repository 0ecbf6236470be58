"""Postgres dies under load and recovers: nothing acknowledged is lost, and who was in the middle of it is told when to come again."""

import random
import time
from collections.abc import Callable

import pytest
import striking
from battle import Battle
from purchases import Purchases
from trialing import Rounds

_UP_S = 30
"""What is promised is ten seconds; a machine on which other trials run is given three times that."""


def _under_load(battle: Battle, chance: random.Random, times: int, strike: Callable[[], None]) -> None:
    with Purchases(battle, 6, chance) as purchases:
        for _ in range(times):
            purchases.more()
            time.sleep(chance.uniform(0, 0.5))
            began = time.monotonic()
            strike()
            assert time.monotonic() - began < _UP_S
            battle.world.skip(seconds=31)  # a key whose release was lost is free after that
            purchases.more(1)
    assert purchases.busy, "nobody was there to be hurt"


@pytest.mark.trial("R14")
def test_postgres_is_stopped_at_once(battle: Battle, rounds: Rounds, chance: random.Random) -> None:
    _under_load(battle, chance, rounds(1, 20), lambda: striking.stop_at_once(battle.cluster))


@pytest.mark.trial("R15")
def test_postgres_is_killed_with_all_its_processes(battle: Battle, rounds: Rounds, chance: random.Random) -> None:
    _under_load(battle, chance, rounds(1, 20), lambda: striking.kill_all(battle.cluster))


@pytest.mark.trial("R16")
def test_one_backend_is_killed(battle: Battle, rounds: Rounds, chance: random.Random) -> None:
    _under_load(battle, chance, rounds(2, 60), lambda: striking.kill_backend(battle.cluster, chance))
