"""A soak: half of what the shop can take, and one fault a minute, drawn by the seed; in the end the books balance.

`--soak-minutes` says how long; the faults of a seed are the same every time.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import striking
from battle import Battle
from processes import Part
from purchases import Purchases

_MINUTE_S = 60.0
_WARM_S = 15.0
_BUYERS = 8
_GROWTH = 1.05
"""Of the memory of what was never killed, from the tenth minute on: what a process keeps on purpose is there by then."""
_SETTLED_MIN = 10
_EFFECTS = (
    "500",
    "500_after",
    "429",
    "502_html",
    "timeout_after",
    "bad_response_signature",
    "unsigned",
    "truncated_json",
)


class Faults:
    """What may go wrong. The second server and the second worker live through all of it: their memory is measured."""

    def __init__(self, battle: Battle, chance: random.Random) -> None:
        self.battle, self.chance = battle, chance
        self.kinds: dict[str, Callable[[], None]] = {
            "a server is killed": lambda: self._kill(battle.serving[0]),
            "a worker is killed": lambda: self._kill(battle.working[0]),
            "a backend is killed": lambda: striking.kill_backend(battle.cluster, chance),
            "Postgres is stopped at once": lambda: striking.stop_at_once(battle.cluster),
            "Postgres is killed": lambda: striking.kill_all(battle.cluster),
            "WeChat Pay fails": self._wechat,
            "WeChat's news come late and twice": self._mail,
        }

    def strike(self) -> str:
        self.battle.world.tell("delivery", mode="normal")
        kind = self.chance.choice(sorted(self.kinds))
        self.kinds[kind]()
        self.battle.world.skip(seconds=31)  # a key whose release was lost is free after that
        return kind

    def _kill(self, part: Part) -> None:
        part.kill()
        self.battle.heal()

    def _wechat(self) -> None:
        effect = self.chance.choice(_EFFECTS)
        self.battle.world.faults(path="/v3/", effect=effect, times=self.chance.randint(1, 20), seconds=5)

    def _mail(self) -> None:
        self.battle.world.tell("delivery", mode=self.chance.choice(["late", "shuffled", "twice"]), delay_s=10)


@pytest.mark.long
@pytest.mark.trial("R40")
def test_a_soak_with_one_fault_a_minute(
    battle: Battle, request: pytest.FixtureRequest, chance: random.Random, capsys: pytest.CaptureFixture[str]
) -> None:
    minutes = request.config.getoption("--soak-minutes")
    faults = Faults(battle, random.Random(chance.random()))
    survivors = {"server": battle.serving[1], "worker": battle.working[1]}
    with Purchases(battle, _BUYERS, chance) as purchases:
        purchases.pause_s = _half_load(purchases)
        sizes = [{name: _memory_kb(part) for name, part in survivors.items()}]
        for minute in range(max(1, round(minutes))):
            ends = time.monotonic() + _MINUTE_S
            kind = faults.strike()
            purchases.over.wait(max(0.0, ends - time.monotonic()))
            purchases.more(1)
            sizes.append({name: _memory_kb(part) for name, part in survivors.items()})
            with capsys.disabled():
                print(f"  minute {minute + 1}: {kind}; {len(purchases.acknowledged)} orders; memory in kB {sizes[-1]}")
        battle.world.heal()
    if minutes > 2 * _SETTLED_MIN:
        grown = {name: sizes[-1][name] / sizes[_SETTLED_MIN][name] for name in survivors}
        assert max(grown.values()) <= _GROWTH, grown


def _half_load(purchases: Purchases) -> float:
    """Measure what the buyers do without a pause, and give the pause that halves it."""
    had = len(purchases.acknowledged)
    purchases.over.wait(_WARM_S)
    done = max(1, len(purchases.acknowledged) - had)
    return _BUYERS * _WARM_S / done


def _memory_kb(part: Part) -> int:
    """Resident, of the part with all the processes it made."""
    return sum(_resident_kb(pid) for pid in _family(part.process.pid))


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def _resident_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])
