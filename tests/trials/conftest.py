"""Trials: faults, lies and races against real processes."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
import till
from anywhere import Case, Deaths
from battle import Battle
from cast import Shop
from counting import CountingDoor
from door import PROGRAMS, Door
from mortal import Mortal
from sqlalchemy.engine import make_url
from trialing import Rounds
from wired import Wired, wiring
from world import World

from dev.postgres import Cluster
from shop import schema


@pytest.fixture(scope="module", autouse=True)
def _doors_closed() -> Iterator[None]:
    yield
    while till.OPEN:
        till.OPEN.pop().close()


@pytest.fixture(scope="session")
def battle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Battle]:
    """Two that serve, two that work, a simulated WeChat and a database, all in processes of their own."""
    folder = tmp_path_factory.mktemp("battle")
    world = World(folder / "sandbox")
    try:
        with Cluster(folder / "pg") as cluster:
            asyncio.run(schema.migrate(cluster.owner_url(), "shop_app"))
            made = Battle(folder, cluster, world)
            yield made
            made.stop()
    finally:
        world.stop()


@pytest.fixture
def quiet(wechat_world: World) -> Iterator[None]:
    """No news of an earlier test is on its way when this one begins, and none of this one's when it is over."""
    _hush(wechat_world)
    yield
    _hush(wechat_world)


def _hush(world: World) -> None:
    world.heal()
    world.tell("delivery", mode="normal")
    world.skip(seconds=5)  # refunds that are under way end
    listed = "/_sandbox/notifications"
    till.until(
        "the post is out",
        lambda: not any(_is_on_its_way(item) for item in world.http.get(listed).json()["items"]),
    )


def _is_on_its_way(item: dict[str, Any]) -> bool:
    """Not what waits to be repeated to somebody who is gone."""
    return item["state"] == "waiting" and not item["attempts"]


@pytest.fixture
async def case(shop: Shop) -> Case:
    (sku,) = await shop.stocked(5000)
    return Case(shop, await shop.buyer("mortal"), await shop.operator(), sku)


@pytest.fixture
async def deaths(shop: Shop, clean: Cluster, rounds: Rounds, chance: random.Random) -> AsyncIterator[Deaths]:
    """A process whose every message to Postgres goes through a door that counts, and may be its last."""
    url = make_url(clean.app_url())
    door = CountingDoor(str(url.host), int(url.port or 5432))
    mortal = Mortal(
        {
            **shop.world.env,
            "DATABASE_URL": url.set(port=door.port).render_as_string(hide_password=False),
            "SHOP_PUBLIC_URL": shop.mailbox.url,
            "SHOP_DATA_DIR": str(shop.world.folder.parent),
        }
    )
    root = await asyncpg.connect(clean.superuser_url("shop"))
    try:
        yield Deaths(shop, mortal, door, root, rounds, chance)
    finally:
        await root.close()
        mortal.stop()
        door.close()


@pytest.fixture(scope="session")
def wired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wired]:
    """The same, on wires that can be broken. Its tests are a group: one worker of xdist makes it."""
    with wiring(tmp_path_factory.mktemp("wired")) as made:
        yield made


@pytest.fixture(scope="module", params=PROGRAMS)
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """HAProxy, then nginx, before a server that remembers."""
    made = Door(tmp_path_factory.mktemp("door") / "proxy", request.param)
    yield made
    made.close()
