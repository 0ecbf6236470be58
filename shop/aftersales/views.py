"""After-sales as their readers see them, each with the refund that carries its money."""

from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from payments.models import Refund
from shop.aftersales.models import AfterSale, AfterSaleLine
from shop.aftersales.refunding import CAUSE
from shop.orders.models import Order
from shop.orders.schemas import RefundView
from shop.orders.views import refund_view


class AfterSaleLineView(msgspec.Struct, rename="camel"):
    """`quantity` 0: only money goes back, the pieces stay with the buyer (or are still to be sent)."""

    line_id: str
    quantity: int
    amount_fen: int


class MyAfterSale(msgspec.Struct, rename="camel", kw_only=True):
    """`state`: `refunding`, `refunded`, or `failed` (then the money did not go, and it can be asked for again)."""

    no: str
    order_no: str
    state: str
    amount_fen: int
    freight_fen: int
    reason: str
    lines: list[AfterSaleLineView]
    refund: RefundView | None
    requested_at: datetime
    ended_at: datetime | None


class AfterSaleView(MyAfterSale, kw_only=True, rename="camel"):
    """Also what staff decided. `restock`: the pieces go (back) on sale."""

    restock: bool
    requested_by: str


class _Known(msgspec.Struct):
    """Everything that is known of one after-sale."""

    sale: AfterSale
    parts: list[AfterSaleLine]
    refund: Refund | None


async def _known(session: AsyncSession, order: Order) -> list[_Known]:
    """All after-sales of an order, oldest first, in three statements."""
    sales = list(await session.scalars(select(AfterSale).where(AfterSale.order_id == order.id).order_by(AfterSale.id)))
    parts: dict[int, list[AfterSaleLine]] = {sale.id: [] for sale in sales}
    lines = select(AfterSaleLine).where(AfterSaleLine.after_sale_id.in_(parts)).order_by(AfterSaleLine.order_line_id)
    for part in await session.scalars(lines):
        parts[part.after_sale_id].append(part)
    carrying = select(Refund).where(Refund.cause.in_([CAUSE + sale.no for sale in sales]))
    refunds = {refund.cause: refund for refund in await session.scalars(carrying)}
    return [_Known(sale, parts[sale.id], refunds.get(CAUSE + sale.no)) for sale in sales]


def _mine(known: _Known, order: Order, language: str) -> MyAfterSale:
    sale = known.sale
    return MyAfterSale(
        no=sale.no,
        order_no=order.no,
        state=sale.state,
        amount_fen=sale.amount_fen,
        freight_fen=sale.freight_fen,
        reason=sale.reason,
        lines=[AfterSaleLineView(str(part.order_line_id), part.quantity, part.amount_fen) for part in known.parts],
        refund=None if known.refund is None else refund_view(known.refund, language),
        requested_at=sale.requested_at,
        ended_at=sale.ended_at,
    )


async def for_buyer(session: AsyncSession, order: Order, language: str) -> list[MyAfterSale]:
    """The after-sales of the reader's own order."""
    return [_mine(known, order, language) for known in await _known(session, order)]


async def for_staff(session: AsyncSession, order: Order, language: str) -> list[AfterSaleView]:
    """With who asked."""
    return [
        AfterSaleView(
            **msgspec.structs.asdict(_mine(known, order, language)),
            restock=known.sale.restock,
            requested_by=known.sale.requested_by,
        )
        for known in await _known(session, order)
    ]
