"""Many products for trying the shop at size: variations of the demo goods, sharing their pictures, by COPY."""

import io
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select

from catalog import search
from catalog.demo.shelves import ACTOR
from catalog.models import DEFAULT_LOCATION, Product, Sku
from kit.database import Database, raw

_BATCH = 2000  # one transaction of about a second: far below the statement's time limit
_SERIES = (
    "春集",
    "夏集",
    "秋集",
    "冬集",
    "山野",
    "海盐",
    "晨光",
    "月白",
    "青禾",
    "松间",
    "云栖",
    "半亩",
    "拾光",
    "南风",
)
_KINDS = ("", "升级款", "轻享装", "家庭装", "旅行装", "联名款", "礼赠款")

_PRODUCT = (
    "id", "category_id", "title", "subtitle", "images", "detail_images", "description", "specs", "tags",
    "min_price_fen", "max_price_fen", "list_price_fen", "priority", "sold_before", "sold", "status", "version",
    "search_vector", "created_at", "updated_at",
)  # fmt: skip
_SKU = (
    "id",
    "product_id",
    "position",
    "code",
    "options",
    "price_fen",
    "list_price_fen",
    "image",
    "weight_g",
    "enabled",
)
_STOCK = ("sku_id", "location_id", "available", "reserved", "sold")
_MOVE = ("sku_id", "location_id", "delta_available", "delta_reserved", "delta_sold", "reason", "ref", "actor", "at")


class Template(msgspec.Struct, frozen=True):
    product: Product
    skus: Sequence[Sku]


async def gather(db: Database, at: datetime, *, wanted: int) -> int:
    """Add variations until there are `wanted` products; says how many were added. Progress goes to stderr."""
    async with db.begin() as session:
        found = (await session.scalars(select(Product).order_by(Product.id).limit(100))).all()
        skus = (await session.scalars(select(Sku).where(Sku.product_id.in_([one.id for one in found])))).all()
        count = await (await raw(session)).fetchval("SELECT count(*) FROM product")
    templates = [Template(one, [sku for sku in skus if sku.product_id == one.id and sku.enabled]) for one in found]
    templates = [one for one in templates if one.skus]
    start = count
    while count < wanted:
        size = min(_BATCH, wanted - count)
        await _add(db, templates, count, size, at)
        count += size
        sys.stderr.write(f"\r{count} / {wanted} products{'' if count < wanted else chr(10)}")
        sys.stderr.flush()
    return int(max(count - start, 0))


async def _add(db: Database, templates: list[Template], start: int, size: int, at: datetime) -> None:
    chosen = [templates[(start + i) % len(templates)] for i in range(size)]
    async with db.begin() as session:
        connection = await raw(session)
        ids = iter(await _ids(connection, "product", size))
        sku_ids = iter(await _ids(connection, "sku", sum(len(one.skus) for one in chosen)))
        rows: dict[str, list[Sequence[Any]]] = {"product": [], "sku": [], "stock": [], "stock_move": []}
        for i, template in enumerate(chosen):
            _vary(rows, template, next(ids), sku_ids, (start + i) // len(templates), at)
        for table, columns in (("product", _PRODUCT), ("sku", _SKU), ("stock", _STOCK), ("stock_move", _MOVE)):
            await connection.copy_to_table(table, source=_csv(rows[table]), columns=columns, format="csv")


async def _ids(connection: Any, table: str, count: int) -> list[int]:
    query = "SELECT nextval(pg_get_serial_sequence($1, 'id')) FROM generate_series(1, $2)"
    return [row[0] for row in await connection.fetch(query, table, count)]


def _csv(rows: Iterable[Sequence[Any]]) -> io.BytesIO:
    """CSV as Postgres reads it: nothing between two commas is NULL, empty text is quoted."""
    lines = (",".join("" if cell is None else _quoted(cell) for cell in row) for row in rows)
    return io.BytesIO("\n".join(lines).encode())


def _quoted(cell: Any) -> str:
    return '"' + str(cell).replace('"', '""') + '"'


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _named(title: str, turn: int) -> str:
    """Another name in each turn."""
    turn, series = divmod(turn, len(_SERIES))
    edition, kind = divmod(turn, len(_KINDS))
    words = (_SERIES[series], title, _KINDS[kind], f"第{edition + 1}版" if edition else "")
    return " ".join(word for word in words if word)


def _vary(
    rows: dict[str, list[Sequence[Any]]], of: Template, product_id: int, sku_ids: Any, turn: int, at: datetime
) -> None:
    """One product after `of`: another name, another price, the same choices and pictures."""
    model = of.product
    title = _named(model.title, turn)
    percent = 60 + (product_id * 7919) % 90
    prices = [max(sku.price_fen * percent // 100, 100) for sku in of.skus]
    options = [sku.options for sku in of.skus]
    others = [model.subtitle, *model.tags, *sorted({one["name"] for option in options for one in option})]
    sold = (product_id * 104729) % 5000
    rows["product"].append(
        (
            product_id, model.category_id, title, model.subtitle, _json(model.images), _json(model.detail_images),
            model.description, _json(model.specs), _json(model.tags), min(prices), max(prices), None, 0, sold, sold,
            "on_sale", 1, search.document(title, others), at.isoformat(), at.isoformat(),
        )
    )  # fmt: skip
    for place, (sku, price) in enumerate(zip(of.skus, prices, strict=True)):
        sku_id = next(sku_ids)
        pieces = (sku_id * 31) % 200
        rows["sku"].append(
            (sku_id, product_id, place, f"V{sku_id}", _json(sku.options), price, None, sku.image, sku.weight_g, True)
        )
        rows["stock"].append((sku_id, DEFAULT_LOCATION, pieces, 0, 0))
        if pieces:
            rows["stock_move"].append((sku_id, DEFAULT_LOCATION, pieces, 0, 0, "initial", "", ACTOR, at.isoformat()))
