"""Trials: faults, lies and races against real processes."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import till
from battle import Battle
from cast import World

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
