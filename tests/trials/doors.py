"""A second process of the shop, as far as Postgres can tell: an application of its own, with its own connections."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from cast import Shop
from unheard import Unheard

from shop.app import create_app
from shop.settings import read


@asynccontextmanager
async def second_door(shop: Shop, folder: Path) -> AsyncIterator[Shop]:
    """The same shop through another application."""
    environment = {
        **shop.world.env,
        "DATABASE_URL": shop.database_url,
        "SHOP_PUBLIC_URL": shop.mailbox.url,
        "SHOP_DATA_DIR": str(folder),
    }
    app = create_app(read(environment), clock=shop.world.clock, news=Unheard())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        yield Shop(client, shop.db, shop.sql, shop.worker, shop.world, shop.mailbox)
