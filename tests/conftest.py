"""Real Postgres for every test: one cluster and one migrated template per worker, one clone per worker, emptied between tests."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from dev.postgres import Cluster

from kit.clock import ManualClock
from kit.database import Database, Table
from shop import schema
from shop.app import create_app
from shop.settings import PaySettings, Settings, WeChatSettings


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
def keys() -> dict[str, str]:
    """A merchant's and a platform's RSA key, for settings that speak to nobody."""
    made: dict[str, str] = {}
    for name in ("merchant", "platform"):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        made[name] = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        made[f"{name}_public"] = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return made


@pytest.fixture
def settings(clean: Cluster, keys: dict[str, str], tmp_path: Path) -> Settings:
    return Settings(
        env="dev",
        data_dir=tmp_path,
        host="127.0.0.1",
        port=8000,
        public_url="http://127.0.0.1:8000",
        database_url=clean.app_url(),
        database_owner_url=clean.owner_url(),
        database_direct_url=clean.app_url(),
        database_pooler=None,
        wechat=WeChatSettings(url="http://127.0.0.1:9", app_id="wx0000000000000001", app_secret="0" * 32),
        pay=PaySettings(
            url="http://127.0.0.1:9",
            mch_id="1900000001",
            cert_serial="6B1F0D2C4A8E93757A5D10C2E4F6B8A9D3C5E701",
            private_key=keys["merchant"],
            apiv3_key="k" * 32,
            public_key=keys["platform_public"],
            public_key_id="PUB_KEY_ID_0000000000000001",
            key_mode="public_key",
        ),
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
