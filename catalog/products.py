"""Products as operators write them. A product's prices and search words are kept in step with every write."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Text, cast, literal, select
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from catalog import search, specs, stock
from catalog.admin_schemas import ProductBody, ProductReplacement, SkuBody
from catalog.models import Category, Product, ProductStatus, Sku
from kit.database import constraint_of
from kit.errors import Conflict, NotFound, Unprocessable, invalid
from kit.fields import as_id


class NoSuchProduct(NotFound):
    """There is no such product."""

    zh = "商品不存在"


class UnknownCategory(Unprocessable):
    """The product's category does not exist."""

    zh = "商品分类不存在"


class DuplicateCode(Conflict):
    """These SKU codes are taken: {codes}."""

    zh = "SKU 编码已被使用：{codes}"


class ProductChanged(Conflict):
    """Somebody has changed this product meanwhile; read it again."""

    zh = "商品已被他人修改，请刷新后重试"


class NothingToSell(Conflict):
    """A product needs a picture and an enabled SKU before it goes on sale."""

    zh = "商品至少要有一张图片和一个启用的规格才能上架"


async def create(session: AsyncSession, body: ProductBody, at: datetime) -> Product:
    """A draft with its SKUs, nothing in stock. Raises `InvalidInput`, `UnknownCategory`, `DuplicateCode`."""
    options = specs.fitted(body)
    for place, sku in enumerate(body.skus):
        if sku.id is not None:
            raise invalid(f"skus[{place}].id", "a new product has only new SKUs")
    await _check(session, body, own=None)
    product = Product(status=ProductStatus.DRAFT.value, version=1, sold_before=0, sold=0, created_at=at, updated_at=at)
    _write(product, body, at)
    session.add(product)
    await _flush(session, body)
    await _put_skus(session, product, body, options, {})
    return product


async def replace(session: AsyncSession, product_id: int, body: ProductReplacement, at: datetime) -> Product:
    """All of it anew; SKUs that are left out are disabled, never deleted.

    Raises `NoSuchProduct`, `ProductChanged`, and what `create` raises.
    """
    options = specs.fitted(body)
    product = await lock_product(session, product_id)
    if product.version != body.version:
        raise ProductChanged(version=product.version)
    there = {sku.id: sku for sku in await list_skus(session, product_id)}
    for place, sku in enumerate(body.skus):
        if sku.id is not None and as_id(sku.id) not in there:
            raise invalid(f"skus[{place}].id", "is no SKU of this product")
    named = [sku.id for sku in body.skus if sku.id is not None]
    if len(set(named)) != len(named):
        raise invalid("skus", "a SKU stands there twice")
    await _check(session, body, own=product_id)
    if product.status == ProductStatus.ON_SALE:
        _must_be_sellable(body.images, any(sku.enabled for sku in body.skus))
    _write(product, body, at)
    product.version += 1
    await _put_skus(session, product, body, options, there)
    return product


async def put_on_sale(session: AsyncSession, product_id: int, at: datetime) -> Product:
    """Harmless when it is. Raises `NoSuchProduct`, `NothingToSell`."""
    product = await lock_product(session, product_id)
    _must_be_sellable(product.images, any(sku.enabled for sku in await list_skus(session, product_id)))
    return await _move(session, product, ProductStatus.ON_SALE, at)


async def take_off_sale(session: AsyncSession, product_id: int, at: datetime) -> Product:
    """Harmless when it is. Raises `NoSuchProduct`, `IllegalProductMove` for a draft."""
    return await _move(session, await lock_product(session, product_id), ProductStatus.OFF_SALE, at)


async def lock_product(session: AsyncSession, product_id: int) -> Product:
    """Raises `NoSuchProduct`."""
    product = await session.get(Product, product_id, with_for_update={"key_share": True})
    if product is None:
        raise NoSuchProduct
    return product


async def list_skus(session: AsyncSession, product_id: int) -> Sequence[Sku]:
    """All of them, also the disabled, in the operator's order."""
    query = select(Sku).where(Sku.product_id == product_id).order_by(Sku.position, Sku.id)
    return (await session.scalars(query)).all()


async def _move(session: AsyncSession, product: Product, to: ProductStatus, at: datetime) -> Product:
    if product.status != to:
        product.move(to)
        product.version += 1
        product.updated_at = at
        await session.flush()
    return product


def _must_be_sellable(images: Sequence[str], has_enabled_sku: bool) -> None:
    if not images or not has_enabled_sku:
        raise NothingToSell


async def _check(session: AsyncSession, body: ProductBody, *, own: int | None) -> None:
    """What would otherwise fail as a broken constraint, said by name. The constraints still have the last word."""
    if await session.get(Category, as_id(body.category_id)) is None:
        raise UnknownCategory(category_id=body.category_id)
    codes = [sku.code for sku in body.skus]
    twice = sorted({code for code in codes if codes.count(code) > 1})
    query = select(Sku.code).where(Sku.code.in_(codes)).order_by(Sku.code)
    taken = (await session.scalars(query if own is None else query.where(Sku.product_id != own))).all()
    if twice or taken:
        raise DuplicateCode(codes=", ".join([*twice, *taken]))


def _write(product: Product, body: ProductBody, at: datetime) -> None:
    product.category_id = as_id(body.category_id)
    product.title, product.subtitle, product.description = body.title, body.subtitle, body.description
    product.images, product.detail_images, product.tags = body.images, body.detail_images, body.tags
    product.specs = msgspec.to_builtins(body.specs)
    product.priority = body.priority
    product.updated_at = at
    cheapest, dearest = _range(body.skus)
    product.min_price_fen, product.max_price_fen = cheapest.price_fen, dearest.price_fen
    product.list_price_fen = cheapest.list_price_fen
    values = [value.name for spec in body.specs for value in spec.values]
    others = [body.subtitle, *body.tags, *values, *(sku.code for sku in body.skus)]
    product.search_vector = cast(literal(search.document(body.title, others), Text), TSVECTOR)


def _range(skus: Sequence[SkuBody]) -> tuple[SkuBody, SkuBody]:
    """The cheapest and the dearest of those that can be bought; of all when none can."""
    counted = [sku for sku in skus if sku.enabled] or skus
    return min(counted, key=lambda sku: sku.price_fen), max(counted, key=lambda sku: sku.price_fen)


async def _put_skus(
    session: AsyncSession,
    product: Product,
    body: ProductBody,
    options: list[list[dict[str, str]]],
    there: dict[int, Sku],
) -> None:
    kept = [there.pop(as_id(sku.id)) if sku.id else Sku(product_id=product.id) for sku in body.skus]
    for place, (sku, wanted) in enumerate(zip(kept, body.skus, strict=True)):
        sku.position, sku.code, sku.options = place, wanted.code, options[place]
        sku.price_fen, sku.list_price_fen = wanted.price_fen, wanted.list_price_fen
        sku.image, sku.weight_g, sku.enabled = wanted.image, wanted.weight_g, wanted.enabled
    for left_out in there.values():
        left_out.enabled = False
        left_out.position = len(kept)
    session.add_all(kept)
    await _flush(session, body)
    await stock.open_rows(session, [sku.id for sku in kept])


async def _flush(session: AsyncSession, body: ProductBody) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        if constraint_of(error) == "ix_sku_code":
            raise DuplicateCode(codes=", ".join(sku.code for sku in body.skus)) from error
        raise
