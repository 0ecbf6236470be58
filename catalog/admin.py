"""What staff call: products, categories, stock. Every change leaves an audit entry in its own transaction."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from catalog import categories, products, staff_views, stock
from catalog.admin_schemas import (
    Adjustment,
    CategoryBody,
    CategoryList,
    CategoryView,
    Count,
    LevelView,
    ProductBody,
    ProductReplacement,
    ProductRow,
    ProductView,
    StockView,
)
from catalog.categories import NoSuchCategory, TooDeep
from catalog.controllers import QueryWords
from catalog.models import IllegalProductMove, Product, ProductStatus
from catalog.products import DuplicateCode, NoSuchProduct, NothingToSell, ProductChanged, UnknownCategory
from catalog.stock import BelowZero, NoSuchSku
from kit import audit, idempotency
from kit.clock import Clock
from kit.database import Database
from kit.fields import as_id
from kit.idempotency import KeyReused, StillRunning
from kit.paging import Page
from kit.web.actor import actor_of, requires
from kit.web.declared import BODY, STAFF, declared
from kit.web.idempotent import IdempotencyKey
from kit.web.parameters import PathId, QueryCursor, QueryLimit

Req = Request[Any, Any, Any]
Db = NamedDependency[Database]
_WRITES = (*STAFF, *BODY, UnknownCategory, DuplicateCode)


async def _record(
    session: AsyncSession, request: Req, at: datetime, action: str, subject: tuple[str, Any], **facts: Any
) -> None:
    await audit.record(
        session,
        at=at,
        actor=actor_of(request).label,
        action=action,
        subject=subject,
        facts=facts,
    )


@get(
    "/products",
    operation_id="listProductsForStaff",
    summary="Products in every state, the newest first",
    guards=[requires("catalog.read")],
    responses=declared(*STAFF),
)
async def list_products(
    db: Db,
    q: QueryWords = None,
    status: FromQuery[ProductStatus | None] = None,
    cursor: QueryCursor = None,
    limit: QueryLimit = 20,
) -> Page[ProductRow]:
    async with db.begin() as session:
        return await staff_views.list_products(session, words=q, status=status, cursor=cursor, limit=limit)


@get(
    "/products/{product_id:str}",
    operation_id="getProductForStaff",
    summary="One product with all its SKUs, also the disabled",
    guards=[requires("catalog.read")],
    responses=declared(*STAFF, NoSuchProduct),
)
async def get_product(db: Db, product_id: PathId) -> ProductView:
    async with db.begin() as session:
        return await staff_views.product(session, as_id(product_id))


@post(
    "/products",
    operation_id="createProduct",
    summary="A new draft with its SKUs; stock comes by adjusting it",
    guards=[requires("catalog.write")],
    responses=declared(*_WRITES),
)
async def create_product(
    request: Req, db: Db, clock: NamedDependency[Clock], data: JSONBody[ProductBody]
) -> ProductView:
    now = clock.now()
    async with db.begin() as session:
        made = await products.create(session, data, now)
        await _record(session, request, now, "product.create", ("product", made.id), title=made.title)
        return await staff_views.product(session, made.id)


@put(
    "/products/{product_id:str}",
    operation_id="replaceProduct",
    summary="All of a product anew; SKUs left out are disabled",
    guards=[requires("catalog.write")],
    responses=declared(*_WRITES, NoSuchProduct, ProductChanged, NothingToSell),
)
async def replace_product(
    request: Req,
    db: Db,
    clock: NamedDependency[Clock],
    product_id: PathId,
    data: JSONBody[ProductReplacement],
) -> ProductView:
    now = clock.now()
    async with db.begin() as session:
        made = await products.replace(session, as_id(product_id), data, now)
        prices = {sku.code: sku.price_fen for sku in data.skus}
        await _record(session, request, now, "product.replace", ("product", made.id), prices_fen=prices)
        return await staff_views.product(session, made.id)


Verb = Callable[[AsyncSession, int, datetime], Awaitable[Product]]


async def _turn(request: Req, db: Database, clock: Clock, product_id: str, verb: Verb, action: str) -> ProductView:
    now = clock.now()
    async with db.begin() as session:
        turned = await verb(session, as_id(product_id), now)
        await _record(session, request, now, action, ("product", turned.id))
        return await staff_views.product(session, turned.id)


@post(
    "/products/{product_id:str}/on-sale",
    operation_id="putProductOnSale",
    summary="Buyers see it from now on",
    guards=[requires("catalog.write")],
    status_code=200,
    responses=declared(*STAFF, NoSuchProduct, NothingToSell),
)
async def put_on_sale(request: Req, db: Db, clock: NamedDependency[Clock], product_id: PathId) -> ProductView:
    return await _turn(request, db, clock, product_id, products.put_on_sale, "product.on_sale")


@post(
    "/products/{product_id:str}/off-sale",
    operation_id="takeProductOffSale",
    summary="Buyers do not see it any more",
    guards=[requires("catalog.write")],
    status_code=200,
    responses=declared(*STAFF, NoSuchProduct, IllegalProductMove),
)
async def take_off_sale(request: Req, db: Db, clock: NamedDependency[Clock], product_id: PathId) -> ProductView:
    return await _turn(request, db, clock, product_id, products.take_off_sale, "product.off_sale")


@get(
    "/categories",
    operation_id="listCategoriesForStaff",
    summary="Every category, parents first, also the hidden",
    guards=[requires("catalog.read")],
    responses=declared(*STAFF),
)
async def list_categories(db: Db) -> CategoryList:
    async with db.begin() as session:
        return CategoryList([staff_views.category(found) for found in await categories.list_all(session)])


def _category(data: CategoryBody) -> dict[str, Any]:
    given: dict[str, Any] = msgspec.structs.asdict(data)
    return given | {"parent_id": as_id(data.parent_id) if data.parent_id else None}


@post(
    "/categories",
    operation_id="createCategory",
    summary="A new category",
    guards=[requires("catalog.write")],
    responses=declared(*STAFF, *BODY, NoSuchCategory, TooDeep),
)
async def create_category(
    request: Req, db: Db, clock: NamedDependency[Clock], data: JSONBody[CategoryBody]
) -> CategoryView:
    async with db.begin() as session:
        made = await categories.create(session, **_category(data))
        await _record(session, request, clock.now(), "category.create", ("category", made.id), name=made.name)
        return staff_views.category(made)


@put(
    "/categories/{category_id:str}",
    operation_id="replaceCategory",
    summary="All of a category anew",
    guards=[requires("catalog.write")],
    responses=declared(*STAFF, *BODY, NoSuchCategory, TooDeep),
)
async def replace_category(
    request: Req, db: Db, clock: NamedDependency[Clock], category_id: PathId, data: JSONBody[CategoryBody]
) -> CategoryView:
    async with db.begin() as session:
        made = await categories.update(session, as_id(category_id), **_category(data))
        await _record(session, request, clock.now(), "category.replace", ("category", made.id), name=made.name)
        return staff_views.category(made)


@get(
    "/stock/{sku_id:str}",
    operation_id="getStock",
    summary="What there is of a SKU, and its movements, the newest first",
    guards=[requires("catalog.read")],
    responses=declared(*STAFF, NoSuchSku),
)
async def get_stock(db: Db, sku_id: PathId, cursor: QueryCursor = None, limit: QueryLimit = 20) -> StockView:
    async with db.begin() as session:
        return await staff_views.stock_of(session, as_id(sku_id), cursor=cursor, limit=limit)


@post(
    "/stock/{sku_id:str}/adjust",
    operation_id="adjustStock",
    summary="So many pieces more or fewer, and why",
    guards=[requires("stock.adjust")],
    status_code=200,
    responses=declared(*STAFF, *BODY, NoSuchSku, BelowZero, KeyReused, StillRunning),
)
async def adjust_stock(
    request: Req,
    db: Db,
    clock: NamedDependency[Clock],
    sku_id: PathId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[Adjustment],
) -> LevelView:
    now, who, sku = clock.now(), actor_of(request).label, as_id(sku_id)
    async with db.begin() as session:

        async def work() -> LevelView:
            level = await stock.adjust(session, sku, data.delta, reason=data.reason, actor=who, at=now)
            await _record(session, request, now, "stock.adjust", ("sku", sku), delta=data.delta, reason=data.reason)
            return staff_views.level(level)

        wish = idempotency.intent(who, f"adjustStock:{sku}", idempotency_key, data)
        return await idempotency.once(session, wish, now, work, LevelView)


@put(
    "/stock/{sku_id:str}",
    operation_id="countStock",
    summary="So many pieces were counted as available",
    guards=[requires("stock.adjust")],
    responses=declared(*STAFF, *BODY, NoSuchSku, KeyReused, StillRunning),
)
async def count_stock(
    request: Req,
    db: Db,
    clock: NamedDependency[Clock],
    sku_id: PathId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[Count],
) -> LevelView:
    now, who, sku = clock.now(), actor_of(request).label, as_id(sku_id)
    async with db.begin() as session:

        async def work() -> LevelView:
            level = await stock.set_available(session, sku, data.available, reason=data.reason, actor=who, at=now)
            facts = {"available": data.available, "reason": data.reason}
            await _record(session, request, now, "stock.count", ("sku", sku), **facts)
            return staff_views.level(level)

        wish = idempotency.intent(who, f"countStock:{sku}", idempotency_key, data)
        return await idempotency.once(session, wish, now, work, LevelView)


ROUTES: list[Any] = [
    list_products,
    get_product,
    create_product,
    replace_product,
    put_on_sale,
    take_off_sale,
    list_categories,
    create_category,
    replace_category,
    get_stock,
    adjust_stock,
    count_stock,
]
