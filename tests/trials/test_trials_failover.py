"""The primary is killed under load and its standby promoted: the shop goes on by itself, and nothing answered is lost.

The control does the same with an asynchronous standby that lags behind, and must see a loss: then the trial can see one.
"""

import asyncio
import os
import random
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from battle import Battle, crowd
from customers import Customers
from nodes import Standby
from processes import answers, broken, fetch, name
from till import Buyer, until
from trialing import Rounds
from world import World

from dev.postgres import Cluster
from shop import schema


class Pair(Battle):
    """The shop of `Battle` on a primary and a standby; after `fail_over` it asks the standby what is so."""

    standby: Standby
    promoted = False

    @property
    def owner_url(self) -> str:
        return self.standby.url(self.cluster.owner_url()) if self.promoted else self.cluster.owner_url()

    def tell_primary(self, *statements: str) -> None:
        for statement in statements:
            fetch(self.cluster.superuser_url(), statement)

    def kill_primary(self) -> None:
        """All of its processes at once, as a machine that loses its power."""
        pgdata = self.cluster.directory / "pgdata"
        postmaster = int((pgdata / "postmaster.pid").read_text().splitlines()[0])
        assert str(pgdata).encode() in Path(f"/proc/{postmaster}/cmdline").read_bytes(), "not ours to kill"
        os.kill(postmaster, signal.SIGKILL)
        until("the primary is gone", lambda: self.cluster.exit_code() is not None)
        self.cluster.stop()

    def promote(self) -> None:
        self.standby.promote()
        self.promoted = True


@contextmanager
def pair(folder: Path, *, synchronous: bool) -> Iterator[Pair]:
    folder.mkdir(exist_ok=True)
    world = World(folder / "sandbox")
    try:
        with Cluster(folder / "pg") as cluster:
            asyncio.run(schema.migrate(cluster.owner_url(), "shop_app"))
            with Standby(folder / "standby", cluster, "b") as standby:
                app, hosts = cluster.app_url(), f"127.0.0.1:{cluster.port},127.0.0.1:{standby.port}"
                both = app.replace(f"127.0.0.1:{cluster.port}", hosts) + "?target_session_attrs=primary"
                made = Pair(folder, cluster, world, DATABASE_URL=both)
                made.standby = standby
                try:
                    if synchronous:
                        made.tell_primary("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (b)'")
                        made.tell_primary("SELECT pg_reload_conf()")
                        until("the standby is waited for", lambda: _waited_for(made))
                    yield made
                finally:
                    made.stop()
    finally:
        world.stop()


def _waited_for(battle: Pair) -> bool:
    rows = fetch(battle.cluster.superuser_url(), "SELECT sync_state FROM pg_stat_replication")
    return [row["sync_state"] for row in rows] == ["quorum"]


@pytest.mark.trial("R20")
def test_the_primary_dies_and_nothing_answered_is_lost(tmp_path: Path, rounds: Rounds, chance: random.Random) -> None:
    for number in range(rounds(1, 20)):
        with pair(tmp_path / str(number), synchronous=True) as battle:
            _fail_over(battle, chance)


def _fail_over(battle: Pair, chance: random.Random) -> None:
    before = [row["no"] for row in battle.fetch("SELECT no FROM orders")]
    parts = [*battle.serving, *battle.working]
    started = [part.process.pid for part in parts]
    customers = Customers(battle, 6)
    customers.stock()
    with crowd(6, customers.act, customers.over):
        time.sleep(chance.uniform(2, 4))
        battle.kill_primary()
        died_at, had = time.monotonic(), len(customers.answered)
        battle.promote()
        until("orders are taken again", lambda: len(customers.answered) > had + 12, 30)
        silent_s = next(at for at in customers.at[had:] if at > died_at + 0.2) - died_at
        time.sleep(2)
    assert [part.process.pid for part in parts] == started
    assert all(part.process.poll() is None for part in parts), "nobody was restarted"
    assert silent_s < 10, silent_s
    battle.verdict(before + customers.answered)
    states = dict(battle.fetch("SELECT no, state FROM orders"))
    assert {states[no] for no in customers.paid} == {"paid"}
    print(f"{len(customers.answered)} orders answered, the next one {silent_s:.1f} s after the primary's death")


@pytest.mark.trial("R20")
def test_no_order_is_answered_while_the_standby_is_silent(tmp_path: Path) -> None:
    """Not even to those who ask again; nor does their list show it, which waits for nobody."""
    with pair(tmp_path, synchronous=True) as battle:
        buyer = battle.buyer(name("waiting"))
        buyer.http.timeout = httpx.Timeout(12)
        sku = buyer.some_sku(30)["id"]
        wish, key = buyer.wish(sku), secrets.token_hex(12)
        battle.standby.stop_following()
        statuses = [_placed(buyer, wish, key) for _ in range(2)]
        assert 201 not in statuses, statuses
        assert buyer.get("/api/v1/orders")["items"] == []
        battle.kill_primary()
        battle.promote()
        until("the shop is back", lambda: answers(f"{battle.urls[0]}/readyz"), 30)
        until("it is answered", lambda: _placed(buyer, wish, key) == 201, 60)
        assert len(battle.fetch("SELECT no FROM orders")) == 1
        assert broken(battle.owner_url) == {}


def _placed(buyer: Buyer, wish: dict[str, Any], key: str) -> int:
    try:
        return buyer.post("/api/v1/orders", wish, key=key).status_code
    except httpx.TransportError:
        return 0


@pytest.mark.trial("R21")
def test_with_an_asynchronous_standby_the_trial_sees_a_loss(tmp_path: Path, rounds: Rounds) -> None:
    for number in range(rounds(1, 5)):
        with pair(tmp_path / str(number), synchronous=False) as battle:
            _lose(battle)


def _lose(battle: Pair) -> None:
    buyer = battle.buyer(name("lost"))
    sku = buyer.some_sku(30)["id"]
    first = buyer.order(sku)["no"]
    until("the standby has the first", lambda: _has(battle.standby, battle, first))
    battle.standby.stop_following()  # and nobody waits for it
    second = buyer.order(sku)["no"]
    battle.kill_primary()
    battle.promote()
    until("the shop is back", lambda: answers(f"{battle.urls[0]}/readyz"), 30)
    assert [row["no"] for row in battle.fetch("SELECT no FROM orders")] == [first]
    with pytest.raises(AssertionError, match="acknowledged, and lost"):
        battle.verdict([first, second])


def _has(standby: Standby, battle: Pair, no: str) -> bool:
    return bool(fetch(standby.url(battle.cluster.owner_url()), "SELECT 1 FROM orders WHERE no = $1", no))
