"""Orders as the payee of payments: called inside the transaction that settles the money."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from catalog import stock
from payments.ports import Declined, Receipt
from shop.orders import checkout, history
from shop.orders.models import AWAITING, OrderState


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
    history.move(
        session, order, OrderState.PAID, what="paid", by="wechat", at=at, transaction_id=receipt.transaction_id
    )
    order.paid_at = receipt.paid_at
    await session.flush()
    lines = await history.lines_of(session, order)
    await stock.sell(session, checkout.wants_of(lines), ref=order.no, actor="wechat", at=at)
    return None
