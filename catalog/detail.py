"""Products' pages, in one statement: a SKU and its product are always of the same moment."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger
from sqlalchemy.dialects.postgresql import ARRAY

from catalog.models import DEFAULT_LOCATION
from catalog.schemas import ProductDetail
from kit.errors import NotFound
from kit.statement import Statement


class ProductNotFound(NotFound):
    """There is no such product on sale."""

    zh = "商品不存在或已下架"


_PRODUCTS = Statement(
    """
    SELECT p.id, p.category_id, p.title, p.subtitle, p.images, p.detail_images, p.description, p.tags,
           p.min_price_fen, p.max_price_fen, p.list_price_fen, p.sold, p.specs, s.skus, s.ids, s.stock
    FROM product p CROSS JOIN LATERAL (
        SELECT json_agg(x)::text AS skus, array_agg(x.id::bigint) AS ids, sum(x.stock)::bigint AS stock
        FROM (
            SELECT k.id::text AS id, k.price_fen AS "priceFen", k.list_price_fen AS "listPriceFen", k.image AS image,
                k.weight_g AS "weightG", k.options AS options, coalesce(t.available, 0) AS stock
            FROM sku k LEFT JOIN stock t ON t.sku_id = k.id AND t.location_id = :location
            WHERE k.product_id = p.id AND k.enabled ORDER BY k.position, k.id
        ) x
    ) s
    WHERE p.id = ANY(:products) AND p.status = 'on_sale'
    """,
    products=ARRAY(BigInteger),
)
"""A SKU's names and their order are those of `SkuDetail`."""


class Found(msgspec.Struct, frozen=True):
    """A product with its enabled SKUs, in the order in which they are shown."""

    shown: ProductDetail
    skus: list[int]


async def read(connection: Any, product_ids: Sequence[int]) -> dict[int, Found]:
    """What a buyer may see of those that are on sale."""
    rows = await _PRODUCTS.fetch(connection, products=list(product_ids), location=DEFAULT_LOCATION)
    return {row["id"]: Found(_detail(row), row["ids"] or []) for row in rows}


def _detail(row: Any) -> ProductDetail:
    return ProductDetail(
        id=str(row["id"]),
        category_id=str(row["category_id"]),
        title=row["title"],
        subtitle=row["subtitle"],
        images=_as_written(row["images"]),
        detail_images=_as_written(row["detail_images"]),
        description=row["description"],
        tags=_as_written(row["tags"]),
        price_fen=row["min_price_fen"],
        max_price_fen=row["max_price_fen"],
        list_price_fen=row["list_price_fen"],
        sold=row["sold"],
        stock=row["stock"] or 0,
        specs=_as_written(row["specs"]),
        skus=_as_written(row["skus"] or "[]"),
    )


def _as_written(column: str) -> Any:
    """JSON from the database goes out as it came: it was checked when it was written."""
    return msgspec.Raw(column.encode())
