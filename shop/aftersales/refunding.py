"""After-sales: what is claimed is written and the money promised in one transaction; WeChat's word ends it.

Locks: payment → order → (inserts) → SKU rows.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.errors import Conflict
from kit.numbers import new_no
from payments import refunds
from payments.models import RefundState
from payments.ports import RefundFound, RefundNews
from shop.aftersales import claims, goods
from shop.aftersales.claims import Claim
from shop.aftersales.models import AfterSale, AfterSaleLine, AfterSaleState
from shop.orders import history
from shop.orders.models import Order, OrderState

CAUSE = "aftersale:"


class NotPaid(Conflict):
    """This order holds no money that could go back."""

    zh = "订单未支付，无可退款项"


async def request(
    session: AsyncSession,
    order_no: str,
    wanted: Sequence[Claim],
    *,
    freight_fen: int,
    reason: str,
    restock: bool | None,
    by: str,
    at: datetime,
    amount_fen: int = 0,
) -> AfterSale:
    """Promise the money for `wanted`, `freight_fen` and `amount_fen` (spread over what is left) back.

    `restock=None`: the pieces go on sale again only if the order was not shipped yet. Above the shop's limit the refund
    waits for a second person, and its pieces with it.

    Raises `OrderNotFound` (404), `NotPaid`, `PaidElsewhere`, `RefundTooLate`, `TooManyRefunds` (409), `UnknownLine`,
    `MoreThanOrdered`, `LineTooMuch`, `FreightTooMuch`, `OrderTooMuch`, `NothingToRefund`, `RefundTooMuch` (422).
    """
    payment = await refunds.find_applied(session, order_no)
    order = await history.lock(session, order_no)
    if payment is None or order.paid_at is None:
        raise NotPaid
    goes_back = order.shipped_at is None if restock is None else restock
    sale, parts = await _begin(
        session, order, wanted, freight_fen, amount_fen, reason=reason, restock=goes_back, by=by, at=at
    )
    refund = await refunds.request(
        session, payment, sale.amount_fen, cause=CAUSE + sale.no, reason=reason, by=by, at=at
    )
    if goes_back and refund.state != RefundState.WAITING:
        await goods.put_back(session, sale, parts, await history.lines_of(session, order), by=by, at=at)
    return sale


async def _begin(
    session: AsyncSession,
    order: Order,
    wanted: Sequence[Claim],
    freight_fen: int,
    amount_fen: int,
    *,
    reason: str,
    restock: bool,
    by: str,
    at: datetime,
) -> tuple[AfterSale, list[AfterSaleLine]]:
    """Claim it of the order, and write the after-sale with its parts."""
    lines = await history.lines_of(session, order)
    parts, freight_fen = claims.take(order, lines, wanted, freight_fen, amount_fen)
    claimed_fen = sum(part.amount_fen for part in parts) + freight_fen
    order.refunded_fen += claimed_fen
    sale = AfterSale(
        no=new_no("A"),
        order_id=order.id,
        state=AfterSaleState.REFUNDING,
        amount_fen=claimed_fen,
        freight_fen=freight_fen,
        reason=reason,
        restock=restock,
        requested_by=by,
        requested_at=at,
    )
    session.add(sale)
    await session.flush()
    for part in parts:
        part.after_sale_id = sale.id
    session.add_all(parts)
    history.remark(session, order, what="refund_requested", by=by, at=at, after_sale=sale.no, amount_fen=claimed_fen)
    await session.flush()
    return sale, parts


async def refund_found(session: AsyncSession, found: RefundFound, at: datetime) -> str | None:
    """The payee's side: money of an order went back by hand. It is spread over what is left, like a plain amount.

    All of an order that was not shipped: its pieces are given up as well. `None`: it is not an order of ours.
    """
    try:
        order = await history.lock(session, found.payable)
    except history.OrderNotFound:
        return None
    unsent = order.shipped_at is None
    sale, parts = await _begin(
        session, order, [], 0, found.amount_fen, reason="商户平台退款", restock=unsent, by="portal", at=at
    )
    if unsent:
        await goods.put_back(session, sale, parts, await history.lines_of(session, order), by="portal", at=at)
    return CAUSE + sale.no


async def refunded(session: AsyncSession, news: RefundNews) -> None:
    """The payee's side: a refund ended. Refunds that no after-sale asked for (late money) are not ours."""
    if not news.cause.startswith(CAUSE):
        return
    order = await history.lock(session, news.payable)
    statement = select(AfterSale).where(AfterSale.no == news.cause.removeprefix(CAUSE)).with_for_update()
    sale = (await session.execute(statement)).scalar_one()
    parts = list(await session.scalars(select(AfterSaleLine).where(AfterSaleLine.after_sale_id == sale.id)))
    sale.ended_at = news.at
    if not news.succeeded:
        await _give_up(session, order, sale, parts, news)
        return
    sale.state = AfterSaleState.REFUNDED
    if sale.restock and any(part.restocked < part.quantity for part in parts):  # it waited for a second person
        await goods.put_back(session, sale, parts, await history.lines_of(session, order), by=news.by, at=news.at)
    if await _all_refunded(session, order):
        history.move(session, order, OrderState.REFUNDED, what="refunded", by=news.by, at=news.at, after_sale=sale.no)
    else:
        history.remark(
            session, order, what="refund_done", by=news.by, at=news.at, after_sale=sale.no, amount_fen=news.amount_fen
        )


async def _all_refunded(session: AsyncSession, order: Order) -> bool:
    """All of the money is promised back, and none of the promises is still open (this one ends now)."""
    if order.refunded_fen < order.total_fen:
        return False
    await session.flush()
    statement = select(AfterSale.id).where(AfterSale.order_id == order.id, AfterSale.state == AfterSaleState.REFUNDING)
    return (await session.execute(statement.limit(1))).first() is None


async def _give_up(
    session: AsyncSession, order: Order, sale: AfterSale, parts: Sequence[AfterSaleLine], news: RefundNews
) -> None:
    """The money did not go back: what was claimed is free again, and the goods are owed again."""
    sale.state = AfterSaleState.FAILED
    order.refunded_fen -= sale.amount_fen
    order.freight_refunded_fen -= sale.freight_fen
    rows = await history.lines_of(session, order)
    lines = {line.id: line for line in rows}
    for part in parts:
        lines[part.order_line_id].refunded_quantity -= part.quantity
        lines[part.order_line_id].refunded_fen -= part.amount_fen
    what = "refund_rejected" if news.outcome == RefundState.REJECTED else "refund_failed"
    history.remark(session, order, what=what, by=news.by, at=news.at, after_sale=sale.no)
    await session.flush()
    await goods.take_again(session, order, sale, parts, rows, by=news.by, at=news.at)
    await goods.note_owed(session, order, sale, parts, rows, by=news.by, at=news.at)
