"""Two processes that serve keep the same things in memory: a price that changes through one is seen through the other."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from battle import Battle
from nodes import PgBouncer, missing
from processes import fetch
from shelf import LISTENERS, WITHIN_S, Shelf
from till import until
from trialing import Rounds
from wired import shopping
from world import World

from dev.postgres import Cluster
from shop import schema


@pytest.mark.parametrize("deaf", [False, True], ids=["with news", "its news cut off"])
def test_a_price_is_seen_everywhere_within_a_second_and_never_ordered_at_the_old_one(
    battle: Battle, deaf: bool, rounds: Rounds
) -> None:
    shelf, slowest, root = Shelf(battle), 0.0, battle.cluster.superuser_url("shop")
    before = shelf.seen()[1]
    for fen in range(before + 100, before + 100 + rounds(8, 100)):
        if deaf:  # they come back half a second after the last cut: a quick round would find nobody to cut off
            until("both listen", lambda: len(fetch(root, LISTENERS)) == len(battle.serving))
        shelf.seen()  # so that there is something to be remembered
        wish = shelf.buyer.wish(shelf.sku_id)
        if deaf:
            cut = fetch(root, f"SELECT pg_terminate_backend(pid) FROM ({LISTENERS}) AS listener")
            assert len(cut) == len(battle.serving)
        shelf.price(fen)
        changed_at = time.monotonic()
        refused = shelf.buyer.post("/api/v1/orders", wish)
        assert (refused.status_code, refused.json()["code"]) == (409, "price_changed"), refused.text
        while shelf.seen() != (fen, fen):
            assert time.monotonic() - changed_at < WITHIN_S, (shelf.seen(), fen)
        slowest = max(slowest, time.monotonic() - changed_at)
    print(f"seen after {slowest * 1000:.0f} ms at most")
    shelf.price(before)


@pytest.fixture
def pooled(tmp_path: Path) -> Iterator[Battle]:
    """Everything behind PgBouncer with four connections; jobs and news past it."""
    world = World(tmp_path / "sandbox")
    try:
        with Cluster(tmp_path / "pg", settings={"fsync": "off"}) as cluster:
            asyncio.run(schema.migrate(cluster.owner_url(), "shop_app"))
            assert cluster.port is not None
            with PgBouncer(tmp_path / "pgb", cluster.app_url(), cluster.port, default_pool_size="4") as pooler:
                made = Battle(
                    tmp_path,
                    cluster,
                    world,
                    DATABASE_URL=pooler.url,
                    DATABASE_POOLER="transaction",
                    DATABASE_DIRECT_URL=cluster.app_url(),
                )
                try:
                    yield made
                finally:
                    made.stop()
    finally:
        world.stop()


@pytest.mark.trial("R37")
@pytest.mark.pgbouncer
@pytest.mark.skipif(bool(missing("pgbouncer")), reason="PgBouncer is not installed")
def test_the_whole_shop_goes_through_a_pooler(pooled: Battle, rounds: Rounds) -> None:
    orders = rounds(24, 1000)
    with shopping(pooled, 6) as customers:
        until("they all have ordered", lambda: len(customers.answered) >= orders, 600)
    logged = "".join(part.log.read_text() for part in [*pooled.serving, *pooled.working])
    assert "prepared statement" not in logged
    assert '"level":"error"' not in logged, logged[-2000:]
