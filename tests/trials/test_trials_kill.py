"""Servers and workers die in the middle of it, the clients try again with the same keys: no order is lost, no fen is astray."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from battle import Battle
from purchases import Purchases
from till import until
from trialing import Rounds


@pytest.mark.trial("R11")
def test_servers_and_workers_are_killed_under_load(battle: Battle, rounds: Rounds, chance: random.Random) -> None:
    kills = rounds(4, 100)
    with Purchases(battle, 16 if kills > 4 else 8, chance) as purchases:
        for _ in range(kills):
            purchases.more()
            time.sleep(chance.uniform(0, 0.5))
            chance.choice([*battle.serving, *battle.working]).kill()
            battle.heal()


@pytest.mark.trial("R11")
def test_a_server_process_that_dies_comes_back(battle: Battle) -> None:
    """Granian's main process lives on and makes another."""
    main = battle.serving[0].process
    (worker,) = [pid for pid in _children(main.pid) if b"resource_tracker" not in _command(pid)]
    os.kill(int(worker), signal.SIGKILL)
    until("the dead process is gone", lambda: worker not in _children(main.pid))
    battle.await_doors()
    assert main.poll() is None


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _command(pid: str) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
