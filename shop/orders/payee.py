"""Orders as the payee of payments: called inside the transaction that settles the money."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from catalog import stock
from payments.ports import Declined, Receipt
from shop.orders import checkout, history
from shop.orders.models import AWAITING, Order, OrderState


async def paid(session: AsyncSession, receipt: Receipt, at: datetime) -> Declined | None:
    """Take the money for an order that still awaits it; its reserved goods are sold. Otherwise decline.

    Locks: order, then SKU rows (the payment is locked by the caller).
    """
    try:
        order = await history.lock(session, receipt.payable)
    except history.OrderNotFound:
        return Declined("unknown_payable")
    if order.state not in AWAITING:
        return Declined("paid_after_close" if order.state == OrderState.CANCELLED else "second_payment")
    if receipt.amount_fen != order.total_fen:
        return Declined("amount_mismatch")
    await _mark_paid(session, order, receipt, "paid", at)
    lines = await history.lines_of(session, order)
    await stock.sell(session, checkout.wants_of(lines), ref=order.no, actor="wechat", at=at)
    return None


async def revived(session: AsyncSession, receipt: Receipt, at: datetime) -> Declined | None:
    """Take up a cancelled order again for money that came late, if every piece of it is still there; else decline.

    Locks as `paid`: the order is held by the same transaction already.
    """
    order = await history.lock(session, receipt.payable)
    if order.state != OrderState.CANCELLED or receipt.amount_fen != order.total_fen:
        return Declined("paid_after_close")
    wants = checkout.wants_of(await history.lines_of(session, order))
    try:
        await stock.reserve(session, wants, ref=order.no, actor="wechat", at=at)
    except stock.OutOfStock:
        return Declined("paid_after_close")
    await _mark_paid(session, order, receipt, "revived", at)
    await stock.sell(session, wants, ref=order.no, actor="wechat", at=at)
    return None


async def _mark_paid(session: AsyncSession, order: Order, receipt: Receipt, what: str, at: datetime) -> None:
    history.move(session, order, OrderState.PAID, what=what, by="wechat", at=at, transaction_id=receipt.transaction_id)
    order.paid_at = receipt.paid_at
    await session.flush()
