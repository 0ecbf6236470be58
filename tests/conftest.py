"""Real Postgres for every test: one cluster and one migrated template per worker, one clone per worker, emptied between tests."""

import asyncio
import dataclasses
import inspect
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from dev.postgres import Cluster
from kit.clock import ManualClock
from kit.database import Database, Table
from shop import schema
from shop.app import create_app
from shop.settings import Settings, placeholder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if inspect.iscoroutinefunction(getattr(item, "function", None)):
            item.add_marker(pytest.mark.anyio)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("postgres")
    with Cluster(folder / "pg", settings={"fsync": "off"}) as running:
        asyncio.run(schema.migrate(running.owner_url(), "shop_app"))
        yield running


@pytest.fixture
def clean(cluster: Cluster) -> Iterator[Cluster]:
    """The worker's database, emptied again afterwards by the owner's role."""
    yield cluster
    asyncio.run(_empty(cluster.owner_url()))


async def _empty(owner_url: str) -> None:
    schema.load_models()
    tables = ", ".join(f'"{name}"' for name in Table.metadata.tables)
    connection = await asyncpg.connect(owner_url)
    try:
        await connection.execute(f"TRUNCATE {tables}, pgqueuer, pgqueuer_log RESTART IDENTITY CASCADE")
    finally:
        await connection.close()


@pytest.fixture
async def db(clean: Cluster) -> AsyncIterator[Database]:
    database = Database(clean.app_url(), pool_size=8, name="test")
    yield database
    await database.close()


@pytest.fixture
async def sql(clean: Cluster) -> AsyncIterator[Any]:
    """An asyncpg connection of the owner's role, for assertions in SQL."""
    connection = await asyncpg.connect(clean.owner_url())
    yield connection
    await connection.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 2, 4, 0, tzinfo=UTC))


@pytest.fixture(scope="session")
def unconnected() -> Settings:
    return placeholder()


@pytest.fixture
def settings(clean: Cluster, unconnected: Settings, tmp_path: Path) -> Settings:
    """The test's own database; a WeChat that nobody answers for."""
    return dataclasses.replace(
        unconnected,
        data_dir=tmp_path,
        database_url=clean.app_url(),
        database_owner_url=clean.owner_url(),
        database_direct_url=clean.app_url(),
    )


@pytest.fixture
async def api(settings: Settings, clock: ManualClock) -> AsyncIterator[httpx.AsyncClient]:
    """The shop over ASGI, without a world around it."""
    app = create_app(settings, clock=clock)
    async with (
        app.lifespan(),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://shop"
        ) as client,
    ):
        yield client
