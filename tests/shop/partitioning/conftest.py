"""A database of its own for each test: what is divided here must not be met by other tests."""

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from dev.postgres import Cluster
from shop import schema


@pytest.fixture(scope="module")
def divisible(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("divisible") / "pg", settings={"fsync": "off"}) as running:
        asyncio.run(schema.migrate(running.owner_url(), "shop_app"))
        asyncio.run(_mighty(running, "CREATE DATABASE fresh TEMPLATE shop"))
        yield running


@pytest.fixture
def clean(divisible: Cluster) -> Iterator[Cluster]:
    """In the place of the database that all tests share; `shop`, `sql` and `db` are on it, too."""
    yield divisible
    again = "CREATE DATABASE shop TEMPLATE fresh OWNER shop_owner"
    asyncio.run(_mighty(divisible, "DROP DATABASE shop WITH (FORCE)", again))


async def _mighty(cluster: Cluster, *statements: str) -> None:
    connection: Any = await asyncpg.connect(cluster.superuser_url())
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
