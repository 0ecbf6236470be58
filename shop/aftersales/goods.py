"""The pieces of an after-sale: on sale again when they are given up, and owed again when the money did not go back.

An order goes out in one parcel, without the pieces that are being refunded then: if they are owed again, a person sends
them after it, or pays them back.

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
from shop.orders.models import Order, OrderEvent, OrderLine, OrderState


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


async def note_owed(
    session: AsyncSession,
    order: Order,
    sale: AfterSale,
    parts: Sequence[AfterSaleLine],
    lines: Sequence[OrderLine],
    *,
    by: str,
    at: datetime,
) -> None:
    """The rest of the order has gone out since, and these pieces are owed again: a person must know."""
    pieces = [part for part in parts if part.quantity]
    if not pieces or order.shipped_at is None or await _had_gone_out(session, order, sale):
        return
    skus = {line.id: line.sku_id for line in lines}
    items = [{"sku_id": str(skus[part.order_line_id]), "quantity": part.quantity} for part in pieces]
    await cases.note(session, "goods_owed", sale.no, at=at, facts={"order": order.no, "items": items})
    history.remark(session, order, what="goods_owed", by=by, at=at, after_sale=sale.no)


async def _had_gone_out(session: AsyncSession, order: Order, sale: AfterSale) -> bool:
    """Whether the order was shipped when the after-sale was asked for: by its log, since clocks may differ."""
    asked = (
        (OrderEvent.order_id == order.id)
        & (OrderEvent.what == "refund_requested")
        & (OrderEvent.facts["after_sale"].astext == sale.no)
    )
    state = await session.scalar(select(OrderEvent.from_state).where(asked))
    return state in {OrderState.SHIPPED, OrderState.COMPLETED}
