"""A gateway for each kind of merchant, in a simulated WeChat of that kind."""

import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from false_wechat import FalseWeChat
from world import World

from payments.wechatpay.gateway import ChargeAsk, Gateway
from shop.app import gateway_of
from shop.settings import read

KINDS = {"direct": (), "partner": ("--partner",), "overseas": ("--region", "global", "--currency", "HKD")}
_numbers = itertools.count(1)


@asynccontextmanager
async def speaking(world: World, folder: Path, **changed: str) -> AsyncIterator[Gateway]:
    """The shop's own gateway in `world`, as the settings make it."""
    nobody = "postgresql://nobody@127.0.0.1:9/none"
    environment = {**world.env, "DATABASE_URL": nobody, "SHOP_DATA_DIR": str(folder), **changed}
    gateway = gateway_of(read({"SHOP_PUBLIC_URL": "http://127.0.0.1:9", **environment}))
    try:
        yield gateway
    finally:
        await gateway.close_connections()


@pytest.fixture(scope="session", params=list(KINDS))
def merchant_world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp(request.param) / "sandbox", *KINDS[request.param])
    yield world
    world.stop()


@pytest.fixture
async def any_gateway(merchant_world: World, tmp_path: Path) -> AsyncIterator[Gateway]:
    """Of a direct merchant, a partner, and one overseas: three runs of each test."""
    merchant_world.heal()
    async with speaking(merchant_world, tmp_path) as gateway:
        yield gateway


@pytest.fixture
async def gateway(wechat_world: World, tmp_path: Path) -> AsyncIterator[Gateway]:
    """Of a direct merchant."""
    wechat_world.heal()
    async with speaking(wechat_world, tmp_path) as made:
        yield made


@pytest.fixture
def new_number() -> Callable[[str], str]:
    return lambda prefix="P": f"{prefix}{os.getpid()}x{next(_numbers)}x{int(datetime.now(UTC).timestamp())}"


@pytest.fixture
def ask(new_number: Callable[[str], str]) -> Callable[..., ChargeAsk]:
    """An ask that fits any channel, some of it changed."""

    def made(channel: str, world: World, **changed: object) -> ChargeAsk:
        values = {
            "channel": channel,
            "out_trade_no": new_number("P"),
            "description": "明前龙井 二百五十克装 " * 8,
            "amount_fen": 4200,
            "expires_at": world.clock.now() + timedelta(minutes=30),
            "openid": world.tell("codes", kind="login", user="alice")["openid"] if channel == "jsapi" else None,
            "client_ip": "203.0.113.9",
            "attach": "桌号七" * 40,
        }
        return ChargeAsk(**(values | changed))  # type: ignore[arg-type]

    return made


@pytest.fixture
async def false_wechat() -> AsyncIterator[FalseWeChat]:
    """One who has only the public key."""
    made = FalseWeChat()
    yield made
    await made.gateway.close_connections()
    made.close()


@pytest.fixture
async def older_wechat() -> AsyncIterator[FalseWeChat]:
    """One with platform certificates only."""
    made = FalseWeChat(public_key=False)
    yield made
    await made.gateway.close_connections()
    made.close()
