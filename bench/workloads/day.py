"""W9: a mixed day, with payments opened at the simulated WeChat and a worker beside; and W11's memory, which needs such a day."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench import keys
from bench.data import people
from bench.generator import Run
from bench.ground import Ground
from bench.measuring import Row, by_turns
from bench.stage import Server
from bench.workloads import notices, office
from dev import ports

CONNECTIONS = 64
_P99_MS = 50.0
_COUNTED = ("placed", "prepays", "notified", "shipped", "restocked", "repriced")
_FIRST_NOTICES = 2_000
_WARM_S = 2
_NOTICES_SHARE = 0.04
"""Of all requests one in thirty is a notice; a few more than that are made."""
_PARCELS_TO_NOTICES = 0.3
"""Of all requests one in a hundred and forty hands a parcel over."""


@dataclass
class Day:
    """A shop that has a simulated WeChat to talk to. `rate` is how much it could do, once that is known."""

    ground: Ground
    wechat: Server
    rate: float = 0.0

    def wake(self) -> None:
        """Learn the rate of a shop that is awake: so many notices are made as it can take."""
        self.run(seconds=_WARM_S)
        self.rate = self.run(seconds=_WARM_S).rate

    def run(self, *, seconds: float, rate: float | None = None) -> Run:
        """A run at full speed, or at `rate` requests per second. What it needs is made before."""
        wanted = int((rate or self.rate) * seconds * _NOTICES_SHARE) or _FIRST_NOTICES
        merchant = self.ground.stage.merchant
        self.ground.clear()
        notices.write(self.ground, wanted, merchant)
        office.write(self.ground, int(wanted * _PARCELS_TO_NOTICES))
        self.ground.stage.checkpoint()
        variables: Any = {"BENCH_STAFF": people.token("staff"), "BENCH_KEY_ID": merchant.key_id}
        if rate is not None:
            variables["BENCH_RATE"] = str(rate / 2)  # each of two threads keeps half of the pace
        return self.ground.load("day.lua", connections=CONNECTIONS, seconds=seconds, **variables)


@contextmanager
def begun(ground: Ground) -> Iterator[Day]:
    """The simulated WeChat, and the shop started anew as its merchant."""
    stage = ground.stage
    before = stage.merchant
    ground.close()
    folder, port = stage.folder / "sandbox", ports.any_free()
    argv = [sys.executable, "-m", "sandbox", "--data-dir", str(folder), "--port", str(port)]
    argv += ["--app-id", people.APP_ID, "--app-secret", "0" * 32]
    wechat = Server(argv, port, stage.plain_environment(), stage.folder / "sandbox.log", "/_sandbox/health")
    try:
        stage.merchant = keys.of_sandbox(folder)
        _feed(ground)
        try:
            with stage.work(ground.database):
                yield Day(ground, wechat)
        finally:
            office.restore(ground)
    finally:
        ground.close()
        stage.merchant = before
        wechat.stop()


def mixed(ground: Ground) -> list[Row]:
    """W9: as fast as it goes; then at half of that, what the slowest hundredth waits."""
    row = Row(key="W9", what="mixed day, full speed", target="(report)")
    half = Row(key="W9/half", what="mixed day, half speed", target=f"p99 ≤ {_P99_MS:.0f} ms")
    with begun(ground) as day:
        day.wake()

        def full() -> Run:
            run = day.run(seconds=ground.seconds)
            day.rate = run.rate
            return run

        # By turns, as everywhere: half of what this machine could do a moment ago.
        by_turns([(row, full), (half, lambda: day.run(seconds=ground.seconds, rate=day.rate / 2))], None, ground.runs)
    for one in (row, half):
        one.facts |= {name: one.runs[-1].more[name] for name in _COUNTED}
        if not all(one.facts[name] for name in _COUNTED):  # a day without one of them is another day
            one.passed = False
    half.passed = half.passed is not False and half.median("p99_ms") <= _P99_MS
    return [row, half]


def _feed(ground: Ground) -> None:
    feed, stage = ground.feed, ground.stage
    feed.lists(stage, ground.database)
    feed.details(ground.size.products)
    feed.searches()
    _, orders = feed.orders(stage, ground.database, ground.size.signed_in)
    numbers = [row[0].rpartition("/")[2] for row in feed.read(orders)]
    feed.write("admin-orders.tsv", [(f"/admin/v1/orders/{no}",) for no in numbers])
