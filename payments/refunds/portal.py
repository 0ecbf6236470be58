"""Refunds that we did not ask for: made by hand in WeChat's merchant portal, and heard of afterwards.

They are booked like our own: the payment's claim, the ledger, and the payee, who finds out what the money was for. When
it is more than is left (our own refund of the same money is still on its way), it is a case until there is room.
"""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit import jobs
from payments import cases
from payments.models import Payment, PaymentException, PaymentState, Refund, RefundOrigin, RefundState
from payments.ports import Payee, RefundFound
from payments.refunds.locking import lock, lock_payment
from payments.refunds.promising import claim
from payments.trades import RefundTrade

FOLLOW_JOB = "payments.refund_found"
"""Ask WeChat about the payment first, then about the refund. Its reference is the refund's number."""
AFTER_END = "refund_after_end"
"""WeChat has a refund that ended here, and its money is promised to others meanwhile."""
_UNKNOWN = "unknown_refund"


async def record(
    session: AsyncSession, payee: Payee, trade: RefundTrade, at: datetime
) -> tuple[Payment, Refund] | None:
    """Write it down as promised, so that its end can be learned like any other's. `None`: it cannot be (see `note`)."""
    payment = await _payment_of(session, trade)
    meanwhile = await lock(session, trade.out_refund_no)  # by whoever held the payment until now
    if meanwhile is not None:
        return meanwhile
    if payment is None or payment.state != PaymentState.RECEIVED or trade.state == "CLOSED" or trade.amount is None:
        return None
    amount_fen = trade.amount.refund
    if payment.external or amount_fen > (payment.received_fen or 0) - payment.refunded_fen:
        return None
    cause = f"portal:{trade.out_refund_no}"
    if payment.applied:
        found = RefundFound(payable=payment.payable, out_refund_no=trade.out_refund_no, amount_fen=amount_fen)
        cause = await payee.refund_found(session, found, at) or cause
    refund = Refund(
        out_refund_no=trade.out_refund_no,
        payment_id=payment.id,
        payable=payment.payable,
        cause=cause,
        origin=RefundOrigin.PORTAL,
        amount_fen=amount_fen,
        reason="商户平台退款",
        state=RefundState.REQUESTED,
        promises=0,
        sent_at=at,
        check_at=at + timedelta(minutes=1),
        requested_by="portal",
        requested_at=at,
    )
    session.add(refund)
    await claim(session, payment, refund, at)
    await cases.answered(session, trade.out_refund_no, refund.id, "recorded", at)
    return payment, refund


async def note(session: AsyncSession, trade: RefundTrade, at: datetime) -> str:
    """It cannot be written down (yet): have WeChat asked about the payment, or open a case. Returns what came of it."""
    payment = await _payment_of(session, trade)
    if payment is not None and payment.state != PaymentState.RECEIVED:
        await jobs.enqueue(session, FOLLOW_JOB, trade.out_refund_no)  # the payment's own news is late
        return "payment_first"
    if payment is not None and trade.state == "CLOSED":
        return "closed"  # no money moved
    facts = {
        "state": trade.state,
        "amount_fen": trade.amount.refund if trade.amount else None,
        "out_trade_no": trade.out_trade_no,
        "transaction_id": trade.transaction_id,
        "left_fen": (payment.received_fen or 0) - payment.refunded_fen if payment else None,
    }
    payment_id = payment.id if payment else None
    await cases.note(session, _UNKNOWN, trade.out_refund_no, at=at, payment_id=payment_id, facts=facts)
    return _UNKNOWN


async def look_again(session: AsyncSession, payment: Payment) -> None:
    """A refund of ours ended without money: there may be room now for one that was made by hand, or after its end."""
    statement = select(PaymentException.reference).where(
        PaymentException.kind.in_((_UNKNOWN, AFTER_END)),
        PaymentException.payment_id == payment.id,
        PaymentException.resolved_at.is_(None),
    )
    for out_refund_no in await session.scalars(statement):
        await jobs.enqueue(session, FOLLOW_JOB, out_refund_no)


async def _payment_of(session: AsyncSession, trade: RefundTrade) -> Payment | None:
    """The payment that the refund names, locked; `None` when there is none, or when its names contradict each other."""
    if trade.out_trade_no:
        which = Payment.out_trade_no == trade.out_trade_no
    elif trade.transaction_id:
        which = Payment.transaction_id == trade.transaction_id
    else:
        return None
    payment_id = await session.scalar(select(Payment.id).where(which))
    if payment_id is None:
        return None
    payment = await lock_payment(session, payment_id)
    other_account = trade.mchid not in (None, "", payment.mchid) or trade.sub_mchid not in (None, "", payment.sub_mchid)
    other_money = payment.transaction_id is not None and trade.transaction_id not in (None, "", payment.transaction_id)
    return None if other_account or other_money else payment
