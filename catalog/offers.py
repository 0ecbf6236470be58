"""What cart and checkout ask of the catalog: what is this SKU, what does it cost, can it be bought now?"""

from collections.abc import Iterable

import msgspec
from sqlalchemy import BigInteger, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from catalog.models import DEFAULT_LOCATION
from kit.errors import Conflict, Unprocessable


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


_QUOTE = text(
    """
    SELECT k.id, k.product_id, p.category_id, p.title, jsonb_path_query_array(k.options, '$[*].name'),
           coalesce(k.image, p.images ->> 0, ''), k.price_fen, k.list_price_fen, k.weight_g,
           p.status = 'on_sale' AND k.enabled, coalesce(s.available, 0)
    FROM sku k
    JOIN product p ON p.id = k.product_id
    LEFT JOIN stock s ON s.sku_id = k.id AND s.location_id = :location
    WHERE k.id = ANY(:skus)
    """
).bindparams(bindparam("skus", type_=ARRAY(BigInteger)), bindparam("location", type_=BigInteger))


async def quote(session: AsyncSession, sku_ids: Iterable[int], *, location: int = DEFAULT_LOCATION) -> dict[int, Offer]:
    """The offers by SKU id, in one statement; a SKU that does not exist is not among them."""
    wanted = sorted(set(sku_ids))
    if not wanted:
        return {}
    rows = await session.execute(_QUOTE, {"skus": wanted, "location": location})
    return {row[0]: Offer(*row) for row in rows}
