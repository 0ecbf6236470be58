"""Both servers are restarted under load, one after the other, behind the reference proxies: no request is lost."""

import asyncio
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from battle import Battle, crowd
from nodes import Proxy, missing
from processes import answers, name
from till import Buyer, until
from trialing import Rounds
from world import World

from dev.postgres import Cluster
from shop import schema

DRAIN_S = 3  # two health checks of the proxy, and some more on a busy machine


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Battle]:
    folder = tmp_path_factory.mktemp("fleet")
    world = World(folder / "sandbox")
    try:
        with Cluster(folder / "pg", settings={"fsync": "off"}) as cluster:
            asyncio.run(schema.migrate(cluster.owner_url(), "shop_app"))
            made = Battle(folder, cluster, world, SHOP_DRAIN_S=str(DRAIN_S))
            yield made
            made.stop()
    finally:
        world.stop()


class Passers:
    """Clients who never try twice: what goes wrong stays wrong."""

    def __init__(self, battle: Battle, url: str, size: int) -> None:
        self.buyers = [Buyer(url).sign_in(lambda: str(battle.world.code(name("passer")))) for _ in range(size)]
        self.sku = self.buyers[0].some_sku(5)["id"]
        self.wish = self.buyers[0].wish(self.sku)
        self.over = threading.Event()
        self.counts: dict[str, int] = {}
        self.wrong: list[str] = []
        self.orders: list[str] = []

    def act(self, number: int) -> None:
        buyer, turn = self.buyers[number], number
        steps = (self._list, self._preview, self._cart, self._order)
        while not self.over.is_set():
            step = steps[turn % len(steps)]
            turn += 1
            try:
                answer = step(buyer)
            except httpx.TransportError as error:
                self.wrong.append(f"{step.__name__}: {error!r}")
                continue
            if answer.status_code in (200, 201):
                self.counts[step.__name__] = self.counts.get(step.__name__, 0) + 1
            else:
                self.wrong.append(f"{step.__name__}: {answer.status_code} {answer.text[:200]}")

    def _list(self, buyer: Buyer) -> Any:
        return buyer._once("GET", "/api/v1/products", None, "", {"limit": 20})

    def _preview(self, buyer: Buyer) -> Any:
        return buyer.post("/api/v1/checkout/preview", {"lines": self.wish["lines"]})

    def _cart(self, buyer: Buyer) -> Any:
        return buyer._once("GET", "/api/v1/cart", None, "", None)

    def _order(self, buyer: Buyer) -> Any:
        answer = buyer.post("/api/v1/orders", self.wish, key=secrets.token_hex(12))
        if answer.status_code != 201:
            return answer
        no = answer.json()["no"]
        self.orders.append(no)
        return buyer.post(f"/api/v1/orders/{no}/cancel", {})  # nobody may have many that wait for money


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(which, marks=[getattr(pytest.mark, which), pytest.mark.skipif(bool(missing(which)), reason=which)])
        for which in ("haproxy", "nginx")
    ],
)
@pytest.mark.trial("R26")
def test_a_rolling_restart_loses_no_request(fleet: Battle, tmp_path: Path, program: str, rounds: Rounds) -> None:
    _plenty(fleet)
    ports = [int(url.rpartition(":")[2]) for url in fleet.urls]
    with Proxy(tmp_path / program, program, ports) as proxy:
        proxy.await_answer()
        passers = Passers(fleet, proxy.url, 6)
        with crowd(6, passers.act, passers.over):
            for part, url in list(zip(fleet.serving, fleet.urls, strict=True)) * rounds(1, 10):
                time.sleep(1)
                began = time.monotonic()
                part.process.send_signal(signal.SIGTERM)
                assert part.process.wait(DRAIN_S + 12) == 0
                assert time.monotonic() - began >= DRAIN_S
                part.start()
                until(f"{url} is back", lambda url=url: answers(f"{url}/readyz"), 40)
                time.sleep(1.5)  # the proxy has seen it
    assert passers.wrong == []
    assert min(passers.counts.values()) > 20, passers.counts
    known = {row["no"] for row in fleet.fetch("SELECT no FROM orders")}
    assert set(passers.orders) <= known


def _plenty(fleet: Battle) -> None:
    """Nobody is told "sold out" or "too many": what is counted here is what the restart does."""
    fleet.fetch("UPDATE stock SET available = available + 1000000")


@pytest.mark.trial("R26")
def test_a_server_that_leaves_says_so_and_goes_on_answering(fleet: Battle) -> None:
    part, url = fleet.serving[0], fleet.urls[0]
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{url}/readyz").status_code == 200
        part.process.send_signal(signal.SIGTERM)
        until("it says that it leaves", lambda: client.get(f"{url}/readyz").status_code == 503, 2)
        answer = client.get(f"{url}/api/v1/products", params={"limit": 1})
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert part.process.wait(DRAIN_S + 12) == 0
    fleet.heal()
