"""Postgres dies under load and recovers: nothing acknowledged is lost, and who was in the middle of it is told when to come again."""

import random
import time
from collections.abc import Callable

import pytest
import striking
from battle import Battle
from purchases import Purchases
from trialing import Rounds

pytestmark = pytest.mark.alone
_UP_S = 10
"""From the blow until an order is taken again."""


def _under_load(battle: Battle, chance: random.Random, times: int, strike: Callable[[], None]) -> None:
    took: list[float] = []
    with Purchases(battle, 6, chance) as purchases:
        for _ in range(times):
            purchases.more()
            time.sleep(chance.uniform(0, 0.5))
            began = time.monotonic()
            strike()
            battle.world.skip(seconds=31)  # a key whose release was lost is free after that
            purchases.more(1)
            took.append(time.monotonic() - began)
    assert purchases.busy, "nobody was there to be hurt"
    assert max(took) <= _UP_S, took


@pytest.mark.trial("R14")
def test_postgres_is_stopped_at_once(battle: Battle, rounds: Rounds, chance: random.Random) -> None:
    _under_load(battle, chance, rounds(1, 20), lambda: striking.stop_at_once(battle.cluster))


@pytest.mark.trial("R15")
def test_postgres_is_killed_with_all_its_processes(battle: Battle, rounds: Rounds, chance: random.Random) -> None:
    _under_load(battle, chance, rounds(1, 20), lambda: striking.kill_all(battle.cluster))


@pytest.mark.trial("R16")
def test_one_backend_is_killed(battle: Battle, rounds: Rounds, chance: random.Random) -> None:
    _under_load(battle, chance, rounds(2, 60), lambda: striking.kill_backend(battle.cluster, chance))
