"""The pieces of an after-sale: on sale again when they are given up, and owed again when the money did not go back.

Locks: SKU rows, last of all.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from catalog import stock
from payments import cases
from shop.aftersales.models import AfterSale, AfterSaleLine, AfterSaleState
from shop.orders import history
from shop.orders.models import Order, OrderLine


async def put_back(
    session: AsyncSession,
    sale: AfterSale,
    parts: Sequence[AfterSaleLine],
    lines: Sequence[OrderLine],
    *,
    by: str,
    at: datetime,
) -> None:
    """Put the pieces on sale, except those that are there already because of an after-sale that failed."""
    skus = {line.id: line.sku_id for line in lines}
    there = await _left_there(session, sale)
    wants = []
    for part in parts:
        missing = part.quantity - part.restocked
        for earlier in there.get(part.order_line_id, []):
            taken = min(earlier.restocked, missing)
            earlier.restocked -= taken
            missing -= taken
        part.restocked = part.quantity
        if missing:
            wants.append(stock.Want(sku_id=skus[part.order_line_id], quantity=missing))
    await session.flush()
    await stock.restock(session, wants, ref=sale.no, actor=by, at=at)


async def _left_there(session: AsyncSession, sale: AfterSale) -> dict[int, list[AfterSaleLine]]:
    """Parts of failed after-sales whose pieces could not be taken from the shelf again, by line."""
    statement = (
        select(AfterSaleLine)
        .join(AfterSale, AfterSale.id == AfterSaleLine.after_sale_id)
        .where(
            AfterSale.order_id == sale.order_id, AfterSale.state == AfterSaleState.FAILED, AfterSaleLine.restocked > 0
        )
    )
    found: dict[int, list[AfterSaleLine]] = {}
    for part in await session.scalars(statement):
        found.setdefault(part.order_line_id, []).append(part)
    return found


async def take_again(
    session: AsyncSession,
    order: Order,
    sale: AfterSale,
    parts: Sequence[AfterSaleLine],
    lines: Sequence[OrderLine],
    *,
    by: str,
    at: datetime,
) -> None:
    """The buyer is owed the pieces again: from the shelf, or, when they are sold to others by now, by a person's care."""
    skus = {line.id: line.sku_id for line in lines}
    short: list[dict[str, object]] = []
    for part in sorted(parts, key=lambda part: skus[part.order_line_id]):
        if not part.restocked:
            continue
        wants = [stock.Want(sku_id=skus[part.order_line_id], quantity=part.restocked)]
        try:
            await stock.reserve(session, wants, ref=sale.no, actor=by, at=at)
        except stock.OutOfStock:
            short.append({"sku_id": str(wants[0].sku_id), "quantity": part.restocked})
        else:
            await stock.sell(session, wants, ref=sale.no, actor=by, at=at)
            part.restocked = 0
    if short:
        await cases.note(session, "goods_sold_again", sale.no, at=at, facts={"order": order.no, "items": short})
        history.remark(session, order, what="goods_sold_again", by=by, at=at, after_sale=sale.no)
