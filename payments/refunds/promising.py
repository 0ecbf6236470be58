"""Promising money back: the claim on the payment, the intent, the ledger and the job, all in the caller's transaction."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit import jobs
from kit.numbers import derived_no
from payments.models import Payment, Refund, RefundState
from payments.refunds import booking, rules

JOB = "payments.refund"
FIRST_CHECK = timedelta(minutes=1)
"""Should the job be lost, the sweep promises it again after this."""


def number_of(mchid: str, cause: str) -> str:
    """The `out_refund_no` of a cause, always the same: a refund that is asked for twice cannot be made twice."""
    return derived_no("R", mchid, cause)


async def request(
    session: AsyncSession, payment: Payment, amount_fen: int, *, cause: str, reason: str, by: str, at: datetime
) -> Refund:
    """Promise `amount_fen` back for `cause`, once: asked again for the same cause, the same refund is returned.

    `by` is `system`, or the person who asks: above the shop's limit that one waits for another person. The caller holds
    the payment's lock (`lock_payment`). Raises `PaidElsewhere`, `RefundTooLate`, `TooManyRefunds` (409), `RefundTooMuch`
    (422); the database refuses more than was received too.
    """
    known = (await session.execute(select(Refund).where(Refund.cause == cause))).scalar_one_or_none()
    if known is not None:
        return known
    await rules.check(session, payment, amount_fen, by=by, at=at)
    waits = await rules.needs_approval(session, payment, amount_fen, by=by)
    refund = Refund(
        out_refund_no=number_of(payment.mchid, cause),
        payment_id=payment.id,
        payable=payment.payable,
        cause=cause,
        origin=rules.origin_of(by),
        amount_fen=amount_fen,
        reason=reason,
        state=RefundState.WAITING if waits else RefundState.REQUESTED,
        promises=0,
        check_at=at + FIRST_CHECK,
        requested_by=by,
        requested_at=at,
    )
    session.add(refund)
    await claim(session, payment, refund, at)
    if not waits:
        await jobs.enqueue(session, JOB, refund.out_refund_no)
    return refund


async def claim(session: AsyncSession, payment: Payment, refund: Refund, at: datetime) -> None:
    """Its amount is no longer ours to keep."""
    payment.refunded_fen += refund.amount_fen
    refund.promises += 1
    await session.flush()
    await booking.promised(session, payment, refund, at)


async def free(session: AsyncSession, payment: Payment, refund: Refund, at: datetime) -> None:
    """It ended without money: what was claimed may be claimed again."""
    payment.refunded_fen -= refund.amount_fen
    await session.flush()
    await booking.ended(session, payment, refund, at)


async def begin_again(session: AsyncSession, payment: Payment, closed: Refund, *, by: str, at: datetime) -> Refund:
    """WeChat closed it, and a closed number is dead: the next turn of the same cause has a number of its own.

    Asked again for the same turn, the same refund is returned. Raises as `request`.
    """
    cause, turn = turn_of(closed)
    left_fen = (payment.received_fen or 0) - payment.refunded_fen
    amount_fen = min(closed.amount_fen, left_fen) or closed.amount_fen  # a part may have gone back by hand since
    return await request(session, payment, amount_fen, cause=f"{cause}#{turn + 1}", reason=closed.reason, by=by, at=at)


def turn_of(refund: Refund) -> tuple[str, int]:
    """The cause, and how often it was begun again."""
    cause, _, turn = refund.cause.partition("#")
    return cause, int(turn or 0)
