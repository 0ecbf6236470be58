"""A product's page, in one statement: a SKU and its product are always of the same moment."""

import msgspec
from sqlalchemy import BigInteger, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from catalog.models import DEFAULT_LOCATION
from catalog.schemas import ProductDetail, SkuDetail, Spec
from kit.errors import NotFound


class ProductNotFound(NotFound):
    """There is no such product on sale."""

    zh = "商品不存在或已下架"


_PRODUCT = text(
    """
    SELECT p.id::text, p.category_id::text, p.title, p.subtitle, p.images, p.detail_images, p.description, p.tags,
           p.min_price_fen, p.max_price_fen, p.list_price_fen, p.sold, p.specs::text AS specs,
           (SELECT json_agg(json_build_object(
                'id', k.id::text, 'priceFen', k.price_fen, 'listPriceFen', k.list_price_fen, 'image', k.image,
                'weightG', k.weight_g, 'options', k.options, 'stock', coalesce(s.available, 0)
            ) ORDER BY k.position, k.id)::text
            FROM sku k LEFT JOIN stock s ON s.sku_id = k.id AND s.location_id = :location
            WHERE k.product_id = p.id AND k.enabled) AS skus
    FROM product p WHERE p.id = :product AND p.status = 'on_sale'
    """
).bindparams(bindparam("product", type_=BigInteger), bindparam("location", type_=BigInteger))

_skus = msgspec.json.Decoder(list[SkuDetail])
_specs = msgspec.json.Decoder(list[Spec])


async def get_product(session: AsyncSession, product_id: int, *, location: int = DEFAULT_LOCATION) -> ProductDetail:
    """What a buyer may see of it. Raises `ProductNotFound`, also for one that is not on sale."""
    row = (await session.execute(_PRODUCT, {"product": product_id, "location": location})).one_or_none()
    if row is None:
        raise ProductNotFound
    skus = _skus.decode(row.skus or "[]")
    return ProductDetail(
        id=row.id,
        category_id=row.category_id,
        title=row.title,
        subtitle=row.subtitle,
        images=row.images,
        detail_images=row.detail_images,
        description=row.description,
        tags=row.tags,
        price_fen=row.min_price_fen,
        max_price_fen=row.max_price_fen,
        list_price_fen=row.list_price_fen,
        sold=row.sold,
        stock=sum(sku.stock for sku in skus),
        specs=_specs.decode(row.specs),
        skus=skus,
    )
