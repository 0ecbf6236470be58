"""A few products, and staff who may do everything with them."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar, Router
from litestar.di import Provide
from unheard import Unheard

from catalog import admin, categories, controllers, products, stock
from catalog.admin_schemas import ProductBody, SkuBody
from catalog.pages import Pages
from kit.clock import ManualClock
from kit.database import Database
from kit.web import problems
from kit.web.actor import Actor
from kit.web.request import StrictRequest
from kit.web.traffic import Traffic

_codes = itertools.count(1)
Stocked = Callable[..., Awaitable[list[int]]]
Ask = Callable[..., Awaitable[httpx.Response]]
Shelf = Callable[..., Awaitable[int]]


@pytest.fixture
def stocked(db: Database, sql: Any, clock: ManualClock) -> Stocked:
    """`await stocked(5, 0)`: two SKUs of one product on sale, with 5 and 0 pieces; gives their ids."""

    async def make(*pieces: int) -> list[int]:
        category = await sql.fetchval(
            "INSERT INTO category (level, name, position, hidden) VALUES (1, '茶', 0, false) RETURNING id"
        )
        product = await sql.fetchval(
            """
            INSERT INTO product (category_id, title, subtitle, images, detail_images, description, specs, tags,
                min_price_fen, max_price_fen, priority, sold_before, sold, status, version, search_vector,
                created_at, updated_at)
            VALUES ($1, '明前龙井', '', '["/media/a.svg"]', '[]', '', '[]', '[]', 100, 200, 0, 0, 0, 'on_sale', 1, '',
                    now(), now())
            RETURNING id
            """,
            category,
        )
        skus = [
            await sql.fetchval(
                """
                INSERT INTO sku (product_id, position, code, options, price_fen, weight_g, enabled)
                VALUES ($1, $2, $3, $4, 100, 250, true) RETURNING id
                """,
                product,
                place,
                f"T-{product}-{place}",
                f'[{{"specId": "1", "valueId": "{place}", "name": "罐{place}"}}]',
            )
            for place in range(len(pieces))
        ]
        async with db.begin() as session:
            wants = [stock.Want(sku, n) for sku, n in zip(skus, pieces, strict=True) if n]
            await stock.receive(session, wants, reason="initial", ref="", actor="test", at=clock.now())
            await stock.open_rows(session, skus)
        return skus

    return make


class Staff:
    """Puts a member of staff into the scope, as the sign-in of the whole shop does."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        if b"x-staff" in headers:
            held = frozenset(headers[b"x-staff"].decode().split())
            scope["actor"] = Actor("staff", 7, "店长", held)
        await self.app(scope, receive, send)


@pytest.fixture
async def web(db: Database, clock: ManualClock, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The catalog's routes alone, as the shop mounts them."""
    pages = Pages(db, Unheard())
    app = Litestar(
        route_handlers=[
            Router("/api/v1", route_handlers=controllers.ROUTES),
            Router("/admin/v1", route_handlers=admin.ROUTES, middleware=[Staff]),
            controllers.media_router(tmp_path / "media"),
        ],
        dependencies={
            "db": Provide(lambda: db, sync_to_thread=False),
            "clock": Provide(lambda: clock, sync_to_thread=False),
            "pages": Provide(lambda: pages, sync_to_thread=False),
        },
        exception_handlers=problems.HANDLERS,
        middleware=[Traffic],
        request_class=StrictRequest,
        logging_config=None,
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        yield client


@pytest.fixture
def staff(web: httpx.AsyncClient) -> Ask:
    """`await staff("POST", "/products", {...})` with every permission; gives the answer."""

    async def ask(method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        given = {"x-staff": "catalog.read catalog.write stock.adjust", **headers}
        return await web.request(method, f"/admin/v1{path}", json=body, headers=given)

    return ask


@pytest.fixture
def shelf(db: Database, clock: ManualClock) -> Shelf:
    """`await shelf("明前龙井", price=9900, pieces=3)`: a product on sale with one SKU; gives its id."""

    async def put(title: str, *, price: int = 9900, pieces: int = 5, category: int | None = None, **more: Any) -> int:
        async with db.begin() as session:
            if category is None:
                found = await categories.create(
                    session, parent_id=None, name="茶", image=None, position=0, hidden=False
                )
                category = found.id
            body = ProductBody(
                title=title,
                category_id=str(category),
                images=["/media/a.svg"],
                skus=[SkuBody(code=f"C{next(_codes)}", price_fen=price)],
                **more,
            )
            made = await products.create(session, body, clock.now())
            (sku,) = await products.list_skus(session, made.id)
            if pieces:
                wants = [stock.Want(sku.id, pieces)]
                await stock.receive(session, wants, reason="initial", ref="", actor="test", at=clock.now())
            await products.put_on_sale(session, made.id, clock.now())
            return made.id

    return put
