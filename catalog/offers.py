"""What cart and checkout ask of the catalog: what is this SKU, what does it cost, can it be bought now?"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from catalog.models import DEFAULT_LOCATION
from kit.database import raw
from kit.errors import Conflict, Unprocessable
from kit.statement import Statement


class UnknownSku(Unprocessable):
    """There is no SKU {sku_id}."""

    zh = "商品规格 {sku_id} 不存在"


class NotOnSale(Conflict):
    """“{title}” is not on sale."""

    zh = "“{title}”已下架"


class Offer(msgspec.Struct, frozen=True):
    """A SKU as it stands now."""

    sku_id: int
    product_id: int
    category_id: int
    title: str
    options: list[str]
    """The chosen value of each spec, in order: `["红色", "500 g"]`; empty when there is nothing to choose."""
    image: str
    price_fen: int
    list_price_fen: int | None
    weight_g: int
    on_sale: bool
    """The product is on sale and the SKU enabled."""
    available: int
    """Pieces free to sell now."""


COLUMNS: Final = """
    k.id, k.product_id, p.category_id, p.title, jsonb_path_query_array(k.options, '$[*].name')::text,
    coalesce(k.image, p.images ->> 0, ''), k.price_fen, k.list_price_fen, k.weight_g,
    p.status = 'on_sale' AND k.enabled, coalesce(s.available, 0)"""
"""The fields of an `Offer`, for statements that join `TABLES`."""

TABLES: Final = """
    sku k JOIN product p ON p.id = k.product_id
    LEFT JOIN stock s ON s.sku_id = k.id AND s.location_id = :location"""

_QUOTE = Statement(f"SELECT {COLUMNS} FROM {TABLES} WHERE k.id = ANY(:skus)", skus=ARRAY(BigInteger))  # noqa: S608
_names = msgspec.json.Decoder(list[str])


def read(row: Any, first: int = 0) -> Offer:
    """An offer of a bare connection's row, whose `COLUMNS` begin at `first`."""
    values = list(row)[first : first + 11]
    values[4] = _names.decode(values[4])
    return Offer(*values)


async def look_up(connection: Any, sku_ids: Iterable[int], *, location: int = DEFAULT_LOCATION) -> dict[int, Offer]:
    """The offers by SKU id, in one statement; a SKU that does not exist is not among them."""
    wanted = sorted(set(sku_ids))
    if not wanted:
        return {}
    return {row[0]: read(row) for row in await _QUOTE.fetch(connection, skus=wanted, location=location)}


async def quote(session: AsyncSession, sku_ids: Iterable[int], *, location: int = DEFAULT_LOCATION) -> dict[int, Offer]:
    """The same in the session's transaction."""
    return await look_up(await raw(session), sku_ids, location=location)
