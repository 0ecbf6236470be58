"""The leader's machine dies under load: Patroni lets the standby lead, nothing answered is lost, and the dead comes back."""

import random
import time
from pathlib import Path

import asyncpg
import pytest
from battle import Battle, crowd
from customers import Customers
from nodes import missing
from patroni import Managed, managed
from processes import fetch
from till import until
from trialing import Rounds
from world import World

MOST_S = 15
pytestmark = [
    pytest.mark.trial("R22"),
    pytest.mark.patroni,
    pytest.mark.alone,
    pytest.mark.skipif(bool(missing("patroni", "etcd")), reason="Patroni or etcd is not installed"),
]


def test_the_leaders_machine_dies_and_comes_back(tmp_path: Path, rounds: Rounds, chance: random.Random) -> None:
    world = World(tmp_path / "sandbox")
    try:
        with managed(tmp_path) as cluster:
            battle = Battle(tmp_path, cluster, world)
            try:
                for _ in range(rounds(1, 10)):
                    _fail_over(battle, cluster, chance)
            finally:
                battle.stop()
    finally:
        world.stop()


def test_nobody_comes_in_without_the_password(tmp_path: Path) -> None:
    with managed(tmp_path) as cluster:
        for machine in cluster.machines:
            for role in ("postgres", "shop_app", "replicator"):
                with pytest.raises(asyncpg.InvalidPasswordError):
                    fetch(f"postgresql://{role}:guess@{machine.address}/postgres", "SELECT 1")


def _fail_over(battle: Battle, cluster: Managed, chance: random.Random) -> None:
    before = [row["no"] for row in battle.fetch("SELECT no FROM orders")]
    customers = Customers(battle, 4)
    customers.stock()
    with crowd(4, customers.act, customers.over):
        time.sleep(chance.uniform(2, 4))
        leader = cluster.leader()
        assert leader is not None
        leader.kill()
        died_at, had = time.monotonic(), len(customers.answered)
        until("orders are taken again", lambda: len(customers.answered) > had + 12, 60)
        silent_s = next(at for at in customers.at[had:] if at > died_at + 0.2) - died_at
        leader.begin()
        cluster.await_both()
    assert cluster.leader() is not leader
    assert silent_s < MOST_S, silent_s
    battle.verdict(before + customers.answered)
    states = dict(battle.fetch("SELECT no, state FROM orders"))
    assert {states[no] for no in customers.paid} == {"paid"}
    print(f"{len(customers.answered)} orders answered, the next one {silent_s:.1f} s after the leader's death")
