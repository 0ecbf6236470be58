"""W11: how soon the shop is there, and what it weighs, at first and after hours of a mixed day."""

import statistics
import time

from bench.ground import Ground
from bench.measuring import Row
from bench.workloads import day

_START_S = 1.5
_WEIGHT_MIB = 150.0
"""Of a worker, at rest and at the end of the day."""
_GROWTH = 0.05
_STARTS = 3
_REST_S = 2.0
_WARM_S = 15
_SEGMENT_S = 120
"""Notices are good for five minutes, so a long day is made of pieces."""


def start(ground: Ground) -> list[Row]:
    """The time from exec to the first answer of a real route; memory of a worker at rest, and its growth in a day."""
    began = Row(key="W11/start", what="serve to its first answer", target=f"≤ {_START_S} s")
    rest = Row(key="W11/rest", what="worker's memory at rest", target=f"≤ {_WEIGHT_MIB:.0f} MiB")
    grown = Row(
        key="W11/growth",
        what=f"worker's growth in {ground.soak_minutes:g} min of W9",
        target=f"≤ {_GROWTH * 100:.0f} %, ≤ {_WEIGHT_MIB:.0f} MiB",
    )
    starts = []
    for _ in range(_STARTS):
        ground.close()
        ground.stage.checkpoint()
        starts.append(ground.server.start_s)
    began.facts["seconds"] = [round(one, 2) for one in starts]
    began.passed = statistics.median(starts) <= _START_S
    time.sleep(_REST_S)
    at_rest = ground.worker_mib()
    rest.facts["MiB of each worker"] = [round(one, 1) for one in at_rest]
    rest.passed = max(at_rest) <= _WEIGHT_MIB
    _soak(ground, grown)
    return [began, rest, grown]


def _soak(ground: Ground, row: Row) -> None:
    """From a point where everything that fills has filled (pools, plans, memories) to the end, worker by worker."""
    with day.begun(ground) as one:
        one.wake()
        one.run(seconds=_WARM_S)  # at full speed: this is what fills them
        every_product, every_member = ground.feed.details(ground.size.products), _members_orders(ground)
        for paths in (every_product, every_member):
            ground.load("get.lua", connections=day.CONNECTIONS, seconds=_WARM_S, BENCH_PATHS=paths)
        warm = _by_worker(ground)
        left = ground.soak_minutes * 60
        while left > 0:
            seconds = min(_SEGMENT_S, left)
            ground.say(f"W11: {left / 60:.1f} min of a mixed day left")
            run = one.run(seconds=seconds, rate=one.rate / 2)
            row.runs.append(run)
            row.facts.setdefault("MiB", []).append([round(mib, 1) for mib in _by_worker(ground).values()])
            left -= seconds
        end = _by_worker(ground)
    growth = max(end[pid] / warm[pid] - 1 for pid in warm if pid in end)
    row.facts |= {"MiB when warm": [round(mib, 1) for mib in warm.values()], "growth": f"{growth:+.1%}"}
    light = max(end.values()) <= _WEIGHT_MIB
    row.passed = growth <= _GROWTH and light and warm.keys() == end.keys() and not row.errors


def _members_orders(ground: Ground) -> str:
    return ground.feed.orders(ground.stage, ground.database, ground.size.signed_in)[1]


def _by_worker(ground: Ground) -> dict[int, float]:
    return dict(zip(ground.server.workers(), ground.worker_mib(), strict=True))
