"""A member's cart: add, set, select, remove. It only remembers; what things cost and whether they can be had is asked
of the catalog each time.

Locks: the member's row first, where lines are added (so that no race exceeds a bound); no stock row is ever locked here.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from catalog import offers
from catalog.offers import NotOnSale, UnknownSku
from kit.errors import Conflict, NotFound, Unprocessable
from shop.cart.models import CartLine
from shop.members import people

MAX_LINES: Final = 120
MAX_PIECES: Final = 999


class NotInCart(NotFound):
    """This SKU is not in the cart."""

    zh = "购物车中没有该商品"


class CartFull(Unprocessable):
    """A cart holds {limit} kinds of goods; remove some first."""

    zh = "购物车最多 {limit} 种商品，请先清理"


class TooManyPieces(Unprocessable):
    """At most {limit} pieces of one SKU."""

    zh = "单个商品最多 {limit} 件"


class NotEnoughStock(Conflict):
    """Only {available} left."""

    zh = "库存不足，仅剩 {available} 件"


async def add(session: AsyncSession, member_id: int, sku_id: int, quantity: int, now: datetime) -> None:
    """Put `quantity` more pieces in, selected.

    Raises `UnknownSku`, `CartFull`, `TooManyPieces` (422), `NotOnSale`, `NotEnoughStock` (409).
    """
    await people.lock(session, member_id)
    mine = CartLine.member_id == member_id
    counted = select(func.count(), func.sum(CartLine.quantity).filter(CartLine.sku_id == sku_id)).where(mine)
    kinds, present = (await session.execute(counted)).one()
    if present is None and kinds >= MAX_LINES:
        raise CartFull(limit=MAX_LINES)
    wanted = int(present or 0) + quantity
    await _allow(session, sku_id, wanted)
    values = {"member_id": member_id, "sku_id": sku_id, "quantity": wanted, "selected": True, "added_at": now}
    statement = insert(CartLine).values(**values)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["member_id", "sku_id"], set_={"quantity": wanted, "selected": True}
        )
    )


async def set_line(
    session: AsyncSession, member_id: int, sku_id: int, *, quantity: int | None, selected: bool | None
) -> None:
    """Set what is given. Fewer pieces are always allowed, more only while they are there.

    Raises `NotInCart` (404), `NotOnSale`, `NotEnoughStock` (409).
    """
    mine = (CartLine.member_id == member_id) & (CartLine.sku_id == sku_id)
    present = (await session.execute(select(CartLine.quantity).where(mine).with_for_update())).scalar_one_or_none()
    if present is None:
        raise NotInCart
    if quantity is not None and quantity > present:
        await _allow(session, sku_id, quantity)
    values = {"quantity": quantity, "selected": selected}
    given = {name: value for name, value in values.items() if value is not None}
    if given:
        await session.execute(update(CartLine).where(mine).values(**given))


async def _allow(session: AsyncSession, sku_id: int, quantity: int) -> None:
    offer = (await offers.quote(session, [sku_id])).get(sku_id)
    if offer is None:
        raise UnknownSku(sku_id=str(sku_id))
    if not offer.on_sale:
        raise NotOnSale(title=offer.title, sku_id=str(sku_id))
    if quantity > MAX_PIECES:
        raise TooManyPieces(limit=MAX_PIECES)
    if quantity > offer.available:
        raise NotEnoughStock(sku_id=str(sku_id), wanted=quantity, available=offer.available)


async def select_lines(session: AsyncSession, member_id: int, sku_ids: Sequence[int] | None, *, selected: bool) -> None:
    """Mark these lines, or all. SKUs that are not in the cart are passed over."""
    mine = CartLine.member_id == member_id
    if sku_ids is not None:
        mine &= CartLine.sku_id.in_(sku_ids)
    await session.execute(
        update(CartLine).where(mine, CartLine.selected != literal(selected)).values(selected=selected)
    )


async def remove(session: AsyncSession, member_id: int, sku_id: int) -> None:
    """Raises `NotInCart` (404)."""
    mine = (CartLine.member_id == member_id) & (CartLine.sku_id == sku_id)
    if (await session.execute(delete(CartLine).where(mine).returning(CartLine.sku_id))).first() is None:
        raise NotInCart


async def take(session: AsyncSession, member_id: int, sku_ids: Sequence[int]) -> None:
    """Remove what was ordered. What was never in the cart is passed over."""
    await session.execute(delete(CartLine).where(CartLine.member_id == member_id, CartLine.sku_id.in_(sku_ids)))


async def selected(session: AsyncSession, member_id: int) -> list[tuple[int, int]]:
    """`(sku_id, quantity)` of the selected lines, the latest added first."""
    statement = (
        select(CartLine.sku_id, CartLine.quantity)
        .where(CartLine.member_id == member_id, CartLine.selected)
        .order_by(CartLine.added_at.desc(), CartLine.sku_id.desc())
    )
    return [(row.sku_id, row.quantity) for row in await session.execute(statement)]


async def count(session: AsyncSession, member_id: int) -> tuple[int, int]:
    """Kinds and pieces, whether they can be had or not: for the badge."""
    statement = select(func.count(), func.coalesce(func.sum(CartLine.quantity), 0)).where(
        CartLine.member_id == member_id
    )
    kinds, pieces = (await session.execute(statement)).one()
    return int(kinds), int(pieces)
