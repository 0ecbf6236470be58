"""The shop reads from a standby that stumbles, lags by seconds and dies: no old price, and what one wrote one sees.

Each round in which it is behind proves that it did not know the new price yet when everybody had been shown it: who reads
there when they must not is shown the old one (`tests/defects/goods.toml`: "list-of-any-age" and those after it).
"""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
from battle import Battle, crowd
from customers import Customers
from members import Members, Prices
from nodes import Standby
from processes import fetch
from shelf import LISTENERS, WITHIN_S, Shelf
from till import until
from trialing import Rounds
from wired import shopping
from world import World

from dev.postgres import Cluster
from shop import schema

MEMBERS, CUSTOMERS = 4, 2
LAG_S = 8
_BEHIND_S = "SELECT extract(epoch FROM now() - pg_last_xact_replay_timestamp())"
_LISTS_READ = "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'product'"
"""At the standby, where nobody but the shop's lists asks for products."""


class Following(Battle):
    """The shop of `Battle`, told of a standby."""

    standby: Standby

    def at_standby(self, query: str) -> int:
        while True:
            with suppress(asyncpg.SerializationError):  # what it is behind with is more urgent to it than a question
                return int(fetch(self.standby.url(self.cluster.owner_url()), query)[0][0] or 0)

    def let_lag(self, seconds: int) -> None:
        """It replays each commit so long after it was made; 0: as soon as it can."""
        self.standby.superuser(f"ALTER SYSTEM SET recovery_min_apply_delay = '{seconds}s'")
        self.standby.superuser("SELECT pg_reload_conf()")

    @contextmanager
    def stumbling(self) -> Iterator[None]:
        """It replays nothing more, although a moment ago it was known to know everything."""
        self.standby.superuser("SELECT pg_wal_replay_pause()")
        yield
        self.standby.superuser("SELECT pg_wal_replay_resume()")


@pytest.fixture
def battle(tmp_path: Path) -> Iterator[Following]:
    world = World(tmp_path / "sandbox")
    try:
        with Cluster(tmp_path / "pg", settings={"fsync": "off"}) as cluster:
            asyncio.run(schema.migrate(cluster.owner_url(), "shop_app"))
            with Standby(tmp_path / "standby", cluster, "b") as standby:
                made = Following(tmp_path, cluster, world, DATABASE_REPLICA_URL=standby.url(cluster.app_url()))
                made.standby = standby
                try:
                    yield made
                finally:
                    made.stop()
    finally:
        world.stop()


class Staff:
    """They change the price, and want to see it everywhere."""

    def __init__(self, battle: Following, customers: Customers, chance: random.Random) -> None:
        self.battle, self.customers, self.chance = battle, customers, chance
        self.shelf, self.prices = Shelf(battle, but=customers.sku), Prices()
        more = {"delta": 10_000, "reason": "入库"}
        path = f"/admin/v1/stock/{self.shelf.sku_id}/adjust"
        assert self.shelf.operator.until_answered("POST", path, more).is_success
        self.fen = self.shelf.seen()[1] + 10_000
        self.shelf.price(self.fen)
        self.slowest_s = 0.0

    def await_reads(self) -> None:
        """Until lists come from the standby."""
        before = self.battle.at_standby(_LISTS_READ)
        until("lists are read there", lambda: self.shelf.seen() and self.battle.at_standby(_LISTS_READ) > before)

    def change(self, *, behind: bool = False) -> None:
        if self.chance.random() < 0.3:  # the processes hear nothing for a while
            cut = f"SELECT pg_terminate_backend(pid) FROM ({LISTENERS}) AS listener"
            fetch(self.battle.cluster.superuser_url("shop"), cut)
        wish = self.shelf.buyer.wish(self.shelf.sku_id)
        old, self.fen = self.fen, self.fen + self.chance.randint(1, 100)
        self.shelf.price(self.fen)
        self.prices.ended[old] = time.monotonic()
        refused = self.shelf.buyer.post("/api/v1/orders", wish)
        assert (refused.status_code, refused.json()["code"]) == (409, "price_changed"), refused.text
        self._is_seen(since=self.prices.ended[old])
        if behind:
            known = self.battle.at_standby(f"SELECT price_fen FROM sku WHERE id = {self.shelf.sku_id}")
            assert known < self.fen, "the standby knew it already: this round shows nothing"
        self._payment_is_listed()

    def _is_seen(self, *, since: float) -> None:
        for _ in self.battle.urls:
            self.shelf.buyer.turn += 1
            shown = (0, 0)
            while shown != (self.fen, self.fen):
                asked_at, shown = time.monotonic(), self.shelf.seen()
                for fen in shown:
                    self.prices.check(fen, asked_at, "list or page")
        self.slowest_s = max(self.slowest_s, time.monotonic() - since)

    def _payment_is_listed(self) -> None:
        """Staff's list of payments may be a second old, and no more."""
        until("somebody has paid", lambda: self.customers.paid)
        no = self.customers.paid[-1]
        listed = "/admin/v1/payments"
        until("staff see it", lambda: self.shelf.operator.get(listed, payable=no)["items"], WITHIN_S + 1)


def test_while_the_standby_lags_and_when_it_dies_nothing_old_is_shown(
    battle: Following, rounds: Rounds, chance: random.Random
) -> None:
    times = rounds(3, 60)
    with shopping(battle, CUSTOMERS) as customers:
        staff = Staff(battle, customers, chance)
        members = Members(battle, staff.shelf, staff.prices, MEMBERS, customers.answered)
        with crowd(MEMBERS, members.act, members.over):
            for _ in range(times):
                staff.change()
                staff.await_reads()
                with battle.stumbling():
                    staff.change(behind=True)
            battle.let_lag(LAG_S)
            until("it lags", lambda: battle.at_standby(_BEHIND_S) > LAG_S // 2)
            for _ in range(times):
                staff.change(behind=True)
            battle.let_lag(0)
            staff.await_reads()
            battle.standby.kill()
            for _ in range(times):
                staff.change()
    assert members.refused == [], "who was being answered by the standby when it died is answered by the primary"
    assert {status for status in customers.statuses if status >= 500} == set()
    print(f"{members.turns} turns; a price was seen after {staff.slowest_s:.2f} s at most")
