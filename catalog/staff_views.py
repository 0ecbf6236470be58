"""What staff read: products in every state, and a SKU's stock with its movements."""

from functools import lru_cache

import msgspec
from sqlalchemy import BigInteger, Text, TextClause, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from catalog import products, search, stock
from catalog.admin_schemas import (
    CategoryView,
    LevelView,
    MoveView,
    ProductRow,
    ProductView,
    SkuView,
    StockView,
)
from catalog.models import DEFAULT_LOCATION, Category, Product, ProductStatus, Stock, StockMove
from catalog.products import NoSuchProduct
from catalog.schemas import Option, Spec
from catalog.stock import Level
from kit.paging import Page, decode_cursor, encode_cursor, page

_FILTERS = {
    "status": "p.status = :status",
    "words": "p.search_vector @@ CAST(:words AS tsquery)",
    "before": "p.id < :before",
}


@lru_cache(maxsize=16)
def _list(filters: tuple[str, ...]) -> TextClause:
    where = " AND ".join(_FILTERS[name] for name in filters) or "true"
    statement = text(
        f"""
        SELECT p.id::text, p.title, coalesce(p.images ->> 0, ''), p.category_id::text, p.status, p.min_price_fen,
               p.max_price_fen, p.sold, coalesce(held.stock, 0)::bigint, p.updated_at
        FROM product p
        LEFT JOIN LATERAL (
            SELECT sum(s.available) AS stock FROM sku k JOIN stock s ON s.sku_id = k.id
            WHERE k.product_id = p.id AND s.location_id = :location
        ) held ON true
        WHERE {where} ORDER BY p.id DESC LIMIT :fetch
        """  # noqa: S608  (only our own constants above)
    )
    types = {"status": Text, "words": Text, "before": BigInteger}
    return statement.bindparams(
        bindparam("location", type_=BigInteger),
        bindparam("fetch", type_=BigInteger),
        *(bindparam(name, type_=types[name]) for name in filters),
    )


async def list_products(
    session: AsyncSession, *, words: str | None, status: ProductStatus | None, cursor: str | None, limit: int
) -> Page[ProductRow]:
    """The newest first. Raises `InvalidInput` for a cursor of another list."""
    given: dict[str, str | int] = {}
    if status is not None:
        given["status"] = status.value
    if words is not None and words.strip():
        found = search.queries(words)
        if found is None:
            return Page([], None)
        given["words"] = found[0]
    if cursor is not None:
        given["before"] = decode_cursor(cursor, (int,))[0]
    rows = await session.execute(_list(tuple(given)), given | {"location": DEFAULT_LOCATION, "fetch": limit + 1})
    return page([ProductRow(*row) for row in rows], limit, lambda row: (int(row.id),))


async def product(session: AsyncSession, product_id: int) -> ProductView:
    """All of it, with its disabled SKUs. Raises `NoSuchProduct`."""
    found = await session.get(Product, product_id)
    if found is None:
        raise NoSuchProduct
    skus = await products.list_skus(session, product_id)
    rows = select(Stock).where(Stock.sku_id.in_([sku.id for sku in skus]), Stock.location_id == DEFAULT_LOCATION)
    levels = {row.sku_id: row for row in await session.scalars(rows)}
    return ProductView(
        id=str(found.id),
        category_id=str(found.category_id),
        title=found.title,
        subtitle=found.subtitle,
        images=found.images,
        detail_images=found.detail_images,
        description=found.description,
        specs=msgspec.convert(found.specs, list[Spec]),
        tags=found.tags,
        price_fen=found.min_price_fen,
        max_price_fen=found.max_price_fen,
        list_price_fen=found.list_price_fen,
        priority=found.priority,
        sold=found.sold,
        status=ProductStatus(found.status),
        version=found.version,
        created_at=found.created_at,
        updated_at=found.updated_at,
        skus=[
            SkuView(
                id=str(sku.id),
                code=sku.code,
                options=msgspec.convert(sku.options, list[Option]),
                price_fen=sku.price_fen,
                list_price_fen=sku.list_price_fen,
                image=sku.image,
                weight_g=sku.weight_g,
                enabled=sku.enabled,
                available=levels[sku.id].available if sku.id in levels else 0,
                reserved=levels[sku.id].reserved if sku.id in levels else 0,
                sold=levels[sku.id].sold if sku.id in levels else 0,
            )
            for sku in skus
        ],
    )


def category(found: Category) -> CategoryView:
    return CategoryView(
        id=str(found.id),
        parent_id=str(found.parent_id) if found.parent_id is not None else None,
        level=found.level,
        name=found.name,
        image=found.image,
        position=found.position,
        hidden=found.hidden,
    )


def level(found: Level) -> LevelView:
    return LevelView(str(found.sku_id), found.available, found.reserved, found.sold)


async def stock_of(session: AsyncSession, sku_id: int, *, cursor: str | None, limit: int) -> StockView:
    """Its level and a page of its movements, the newest first. Raises `NoSuchSku`, `InvalidInput` for the cursor."""
    now = await stock.get_level(session, sku_id)
    query = select(StockMove).where(StockMove.sku_id == sku_id, StockMove.location_id == DEFAULT_LOCATION)
    if cursor is not None:
        query = query.where(StockMove.id < decode_cursor(cursor, (int,))[0])
    rows = (await session.scalars(query.order_by(StockMove.id.desc()).limit(limit + 1))).all()
    moves = [
        MoveView(
            str(row.id),
            row.delta_available,
            row.delta_reserved,
            row.delta_sold,
            row.reason,
            row.ref,
            row.actor,
            row.at,
        )
        for row in rows[:limit]
    ]
    more = len(rows) > limit
    return StockView(level(now), moves, encode_cursor(rows[limit - 1].id) if more else None)
