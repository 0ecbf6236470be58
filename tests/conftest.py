"""Real Postgres for every test: one cluster and one migrated template per worker, one clone per worker, emptied between tests."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from cast import Shop
from unheard import Unheard
from world import Mailbox, World

from dev.postgres import Cluster
from kit import log
from kit.clock import ManualClock
from kit.database import Database, Table
from shop import schema
from shop.app import ShopPayee, create_app, gateway_of
from shop.settings import Settings, placeholder
from shop.worker import Worker

pytest_plugins = ["trialing", "patience"]


@pytest.fixture(scope="session", autouse=True)
def _log() -> None:
    log.configure(level="info")


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
    tables = ", ".join(f'"{name}"' for name in Table.metadata.tables if name != "location")
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
    app = create_app(settings, clock=clock, news=Unheard())
    async with (
        app.lifespan(),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://shop"
        ) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def wechat_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("world") / "sandbox")
    yield world
    world.stop()


@pytest.fixture(scope="session")
def post_office() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    yield mailbox
    mailbox.server.shutdown()
    mailbox.server.server_close()


@pytest.fixture
async def shop(
    settings: Settings, db: Database, sql: Any, wechat_world: World, post_office: Mailbox, tmp_path: Path
) -> AsyncIterator[Shop]:
    """The shop with WeChat around it; notifications wait in the mailbox until the test delivers them."""
    wechat_world.heal()
    wechat_world.tell("delivery", mode="normal")
    async with opened(settings, db, sql, wechat_world, post_office, tmp_path) as made:
        yield made


@pytest.fixture(params=["certificate", "both"])
async def shop_of_an_older_merchant(
    request: pytest.FixtureRequest, settings: Settings, db: Database, sql: Any, post_office: Mailbox, tmp_path: Path
) -> AsyncIterator[Shop]:
    """The same with platform certificates, or in the migration week with both kinds of keys."""
    async with apart(settings, db, sql, post_office, tmp_path, "--key-mode", request.param) as made:
        yield made


@pytest.fixture
async def shop_of_its_own(
    settings: Settings, db: Database, sql: Any, post_office: Mailbox, tmp_path: Path
) -> AsyncIterator[Shop]:
    """The same in a world that nobody else trades in: its bills are this test's alone."""
    async with apart(settings, db, sql, post_office, tmp_path) as made:
        yield made


@pytest.fixture
async def shop_of_another_merchant(
    request: pytest.FixtureRequest, settings: Settings, db: Database, sql: Any, post_office: Mailbox, tmp_path: Path
) -> AsyncIterator[Shop]:
    """The same for another kind of merchant: the test's parameter is what the simulated WeChat is told."""
    async with apart(settings, db, sql, post_office, tmp_path, *request.param) as made:
        yield made


@asynccontextmanager
async def apart(
    settings: Settings, db: Database, sql: Any, post_office: Mailbox, folder: Path, *words: str
) -> AsyncIterator[Shop]:
    """A shop in a world of its own, whose simulated WeChat is started with `words`."""
    world = World(folder / "sandbox", *words)
    try:
        async with opened(settings, db, sql, world, post_office, folder) as made:
            yield made
    finally:
        world.stop()


@asynccontextmanager
async def opened(
    settings: Settings, db: Database, sql: Any, world: World, post_office: Mailbox, folder: Path
) -> AsyncIterator[Shop]:
    """A shop on this database in this world; afterwards every invariant must hold."""
    post_office.clear()
    connected = world.connected(settings, post_office.url, folder)
    gateway = gateway_of(connected)
    app = create_app(connected, clock=world.clock, gateway=gateway, news=Unheard())
    worker = Worker(db, gateway, ShopPayee(), world.clock)
    async with (
        app.lifespan(),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://shop"
        ) as client,
    ):
        made = Shop(client, db, sql, worker, world, post_office)
        made.database_url = settings.database_url
        yield made
        broken = await made.broken()
    assert not broken, broken
