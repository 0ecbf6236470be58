"""Orders as the payee of payments: called inside the transaction that settles the money."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Text
from sqlalchemy.ext.asyncio import AsyncSession

from catalog import movements, stock
from catalog.models import DEFAULT_LOCATION
from kit.database import Instant
from kit.statement import Statement
from payments.ports import Declined, Receipt
from shop.orders import checkout, history
from shop.orders.models import AWAITING, MOVES, Order, OrderState


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


_AWAITING = ", ".join(f"'{state}'" for state in AWAITING if OrderState.PAID in MOVES[state])
# The state is asked for in words that no index of unpaid orders knows: planned in a quiet hour, that one is read whole.
_PAID = Statement(
    f"""
    WITH receipt AS MATERIALIZED (
        SELECT * FROM unnest(:nos, :transactions, :amounts, :paid_ats) AS r (no, transaction_id, amount_fen, paid_at)
    ), taken AS MATERIALIZED (
        SELECT o.id, o.no, o.state, r.transaction_id, r.paid_at FROM orders o JOIN receipt r ON r.no = o.no
        WHERE o.state || '' IN ({_AWAITING}) AND o.total_fen = r.amount_fen
        ORDER BY o.id FOR NO KEY UPDATE OF o
    ), moved AS (
        UPDATE orders o SET state = '{OrderState.PAID}', paid_at = t.paid_at FROM taken t WHERE o.id = t.id
    ), told AS (
        INSERT INTO order_event (order_id, what, from_state, to_state, by, facts, at)
        SELECT id, 'paid', state, '{OrderState.PAID}', 'wechat', jsonb_build_object('transaction_id', transaction_id), :at
        FROM taken
    ), part AS MATERIALIZED (
        SELECT l.sku_id, l.quantity, t.no AS ref FROM taken t JOIN order_line l ON l.order_id = t.id
    ), {movements.SELL}
    SELECT no, (SELECT count(*) FROM wish) - (SELECT count(*) FROM sold) AS lacking FROM taken
    """,  # noqa: S608  (our own constants)
    nos=ARRAY(Text),
    transactions=ARRAY(Text),
    amounts=ARRAY(BigInteger),
    paid_ats=ARRAY(Instant),
    at=Instant,
    actor=Text,
)


async def paid_together(connection: Any, receipts: Sequence[Receipt], at: datetime) -> set[str]:
    """Take the money for those orders that await exactly it, and say which; the others are not touched.

    Locks: orders, then SKU rows, each in one order (the payments are locked by the caller). Raises `LookupError`.
    """
    rows = await _PAID.fetch(
        connection,
        nos=[receipt.payable for receipt in receipts],
        transactions=[receipt.transaction_id for receipt in receipts],
        amounts=[receipt.amount_fen for receipt in receipts],
        paid_ats=[receipt.paid_at for receipt in receipts],
        at=at,
        actor="wechat",
        location=DEFAULT_LOCATION,
    )
    if rows and rows[0]["lacking"]:
        raise LookupError("sell: a SKU has no stock row")
    return {row["no"] for row in rows}


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
