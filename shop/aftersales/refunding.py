"""Refunds by line: what is claimed is written and the money promised in one transaction; WeChat's word ends it.

Shares are to the fen: a line's last pieces carry what rounding left, so any sequence of partial refunds gives back
exactly what was paid.

Locks: payment → order → (inserts) → SKU rows.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from catalog import stock
from kit.errors import Conflict, Unprocessable
from kit.numbers import new_no
from payments import refunds
from payments.ports import RefundNews
from shop.aftersales.models import AfterSale, AfterSaleLine, AfterSaleState
from shop.orders import history
from shop.orders.models import Order, OrderLine, OrderState

CAUSE = "aftersale:"


class NotPaid(Conflict):
    """This order holds no money that could go back."""

    zh = "订单未支付，无可退款项"


class UnknownLine(Unprocessable):
    """This order has no line {line_id}."""

    zh = "订单中没有该商品行：{line_id}"


class MoreThanOrdered(Unprocessable):
    """Only {left} of line {line_id} can still be refunded."""

    zh = "可退数量不足，最多 {left} 件"


class FreightTooMuch(Unprocessable):
    """Only {left_fen} fen of the freight can still be refunded."""

    zh = "可退运费不足，最多 {left_fen} 分"


class NothingToRefund(Unprocessable):
    """Name at least one line or some freight."""

    zh = "请选择要退款的商品或运费"


class Claim(msgspec.Struct, frozen=True):
    """Pieces of one order line."""

    line_id: int
    quantity: int


async def request(
    session: AsyncSession,
    order_no: str,
    claims: Sequence[Claim],
    *,
    freight_fen: int,
    reason: str,
    restock: bool | None,
    by: str,
    at: datetime,
) -> AfterSale:
    """Promise the money for `claims` and `freight_fen` back. `restock=None`: only if the order was not shipped yet.

    Raises `OrderNotFound` (404), `NotPaid` (409), `UnknownLine`, `MoreThanOrdered`, `FreightTooMuch`,
    `NothingToRefund` (422).
    """
    payment = await refunds.find_applied(session, order_no)
    order = await history.lock(session, order_no)
    if payment is None or order.paid_at is None:
        raise NotPaid
    lines = {line.id: line for line in await history.lines_of(session, order)}
    parts = [_claim(lines, claim) for claim in _merged(claims)]
    if order.shipped_at is None and all(line.refunded_quantity == line.quantity for line in lines.values()):
        freight_fen = order.freight_fen - order.freight_refunded_fen  # nothing will be sent, so nothing is owed for it
    _claim_freight(order, freight_fen)
    amount_fen = sum(part.amount_fen for part in parts) + freight_fen
    if amount_fen == 0:
        raise NothingToRefund
    order.refunded_fen += amount_fen
    goes_back = order.shipped_at is None if restock is None else restock
    sale = AfterSale(
        no=new_no("A"),
        order_id=order.id,
        state=AfterSaleState.REFUNDING,
        amount_fen=amount_fen,
        freight_fen=freight_fen,
        reason=reason,
        restock=goes_back,
        requested_by=by,
        requested_at=at,
    )
    session.add(sale)
    await session.flush()
    for part in parts:
        part.after_sale_id = sale.id
    session.add_all(parts)
    history.remark(session, order, what="refund_requested", by=by, at=at, after_sale=sale.no, amount_fen=amount_fen)
    await refunds.request(session, payment, amount_fen, cause=CAUSE + sale.no, reason=reason, by=by, at=at)
    if goes_back and parts:
        wants = [stock.Want(sku_id=lines[p.order_line_id].sku_id, quantity=p.quantity) for p in parts]
        await stock.restock(session, wants, ref=sale.no, actor=by, at=at)
    return sale


def _merged(claims: Sequence[Claim]) -> list[Claim]:
    quantities: dict[int, int] = {}
    for claim in claims:
        quantities[claim.line_id] = quantities.get(claim.line_id, 0) + claim.quantity
    return [Claim(line_id, quantity) for line_id, quantity in quantities.items()]


def _claim(lines: dict[int, OrderLine], claim: Claim) -> AfterSaleLine:
    line = lines.get(claim.line_id)
    if line is None:
        raise UnknownLine(line_id=str(claim.line_id))
    left = line.quantity - line.refunded_quantity
    if claim.quantity > left:
        raise MoreThanOrdered(line_id=str(line.id), left=left)
    left_fen = line.paid_fen - line.refunded_fen
    amount_fen = left_fen if claim.quantity == left else left_fen * claim.quantity // left
    line.refunded_quantity += claim.quantity
    line.refunded_fen += amount_fen
    return AfterSaleLine(order_line_id=line.id, quantity=claim.quantity, amount_fen=amount_fen)


def _claim_freight(order: Order, freight_fen: int) -> None:
    left_fen = order.freight_fen - order.freight_refunded_fen
    if freight_fen > left_fen:
        raise FreightTooMuch(left_fen=left_fen)
    order.freight_refunded_fen += freight_fen


async def refunded(session: AsyncSession, news: RefundNews) -> None:
    """The payee's side: a refund ended. Refunds that no after-sale asked for (late money) are not ours."""
    if not news.cause.startswith(CAUSE):
        return
    order = await history.lock(session, news.payable)
    statement = select(AfterSale).where(AfterSale.no == news.cause.removeprefix(CAUSE)).with_for_update()
    sale = (await session.execute(statement)).scalar_one()
    sale.ended_at = news.at
    if not news.succeeded:
        await _give_up(session, order, sale, news.at)
        return
    sale.state = AfterSaleState.REFUNDED
    if await _all_refunded(session, order):
        history.move(session, order, OrderState.REFUNDED, what="refunded", by="wechat", at=news.at, after_sale=sale.no)
    else:
        history.remark(
            session, order, what="refund_done", by="wechat", at=news.at, after_sale=sale.no, amount_fen=news.amount_fen
        )


async def _all_refunded(session: AsyncSession, order: Order) -> bool:
    """All of the money is promised back, and none of the promises is still open (this one ends now)."""
    if order.refunded_fen < order.total_fen:
        return False
    await session.flush()
    statement = select(AfterSale.id).where(AfterSale.order_id == order.id, AfterSale.state == AfterSaleState.REFUNDING)
    return (await session.execute(statement.limit(1))).first() is None


async def _give_up(session: AsyncSession, order: Order, sale: AfterSale, at: datetime) -> None:
    """The money did not go back: what was claimed is free again. Goods put back on sale stay there; a person decides."""
    sale.state = AfterSaleState.FAILED
    order.refunded_fen -= sale.amount_fen
    order.freight_refunded_fen -= sale.freight_fen
    lines = {line.id: line for line in await history.lines_of(session, order)}
    for part in await session.scalars(select(AfterSaleLine).where(AfterSaleLine.after_sale_id == sale.id)):
        lines[part.order_line_id].refunded_quantity -= part.quantity
        lines[part.order_line_id].refunded_fen -= part.amount_fen
    history.remark(session, order, what="refund_failed", by="wechat", at=at, after_sale=sale.no)
