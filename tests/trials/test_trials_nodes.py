"""Two processes that serve keep the same things in memory: a price that changes through one is seen through the other."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from battle import Battle
from nodes import PgBouncer, missing
from processes import fetch, name
from till import Buyer, Operator, until
from trialing import Rounds
from wired import shopping
from world import World

from dev.postgres import Cluster
from shop import schema

WITHIN_S = 1.0
LISTENERS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'shop-news'"


def _body(view: dict[str, Any], price_fen: int) -> dict[str, Any]:
    """The product as it is, but for its price."""
    kept = ("title", "categoryId", "subtitle", "images", "detailImages", "description", "tags", "priority", "version")
    skus = [
        {
            "id": sku["id"],
            "code": sku["code"],
            "priceFen": price_fen,
            "options": [{"specId": o["specId"], "valueId": o["valueId"]} for o in sku["options"]],
            "weightG": sku["weightG"],
            "enabled": sku["enabled"],
        }
        for sku in view["skus"]
    ]
    return {name: view[name] for name in kept} | {"specs": view["specs"], "skus": skus}


class Shelf:
    """One product, all its SKUs at one price, as staff change it through one door and a buyer sees it through the other."""

    def __init__(self, battle: Battle) -> None:
        self.operator: Operator = battle.operator()
        self.buyer: Buyer = battle.buyer(name("prices"), 1)
        for item in self.buyer.get("/api/v1/products", limit=20, inStock="true")["items"]:
            for sku in self.buyer.get(f"/api/v1/products/{item['id']}")["skus"]:
                if sku["stock"] >= 5:
                    self.product_id, self.sku_id = item["id"], sku["id"]
                    return
        raise AssertionError("nothing in stock")

    def price(self, fen: int) -> None:
        path = f"/admin/v1/products/{self.product_id}"
        view = self.operator.get(path)
        answer = self.operator.until_answered("PUT", path, _body(view, fen))
        assert answer.status_code == 200, answer.text

    def seen(self) -> tuple[int, int]:
        """In the list and on its page."""
        listed = self.buyer.get("/api/v1/products", limit=20, inStock="true")["items"]
        shown = next(item for item in listed if item["id"] == self.product_id)["priceFen"]
        return shown, self.buyer.get(f"/api/v1/products/{self.product_id}")["skus"][0]["priceFen"]


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
