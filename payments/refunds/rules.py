"""What WeChat Pay refunds at all, asked before anything is promised (its refund API: 365 days, 50 parts, the paid sum)."""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.errors import Conflict, Unprocessable
from payments import policy
from payments.models import UNDONE, Payment, PaymentState, Refund, RefundOrigin, RefundState

LIFE = timedelta(days=365)
MOST_PARTS = 50
GAP = timedelta(seconds=65)
"""WeChat wants a minute between the parts; by its own clock, so a little more."""


class RefundTooMuch(Unprocessable):
    """Only {left_fen} fen of this payment can still be refunded."""

    zh = "超出可退金额，最多可退 {left_fen} 分"


class RefundTooLate(Conflict):
    """WeChat Pay refunds within {days} days of the payment; this one is older."""

    zh = "支付已超过 {days} 天，微信支付不再受理退款"


class TooManyRefunds(Conflict):
    """WeChat Pay takes at most {most} refunds of one payment; this one has had them."""

    zh = "同一笔支付最多退款 {most} 次，已达上限"


class PaidElsewhere(Conflict):
    """This was paid in another system of WeChat's and can only be refunded there."""

    zh = "该款项由其他渠道收取，请在原渠道退款"


async def check(session: AsyncSession, payment: Payment, amount_fen: int, *, by: str, at: datetime) -> None:
    """May so much of this payment be promised back? The caller holds its lock.

    What the system sends back is not held to the year and the number of parts: it is promised all the same, and when
    WeChat refuses it a person hears of it. Raises `PaidElsewhere`, `RefundTooLate`, `TooManyRefunds` (409),
    `RefundTooMuch` (422).
    """
    if payment.external:
        raise PaidElsewhere
    left_fen = _left_fen(payment)
    if amount_fen > left_fen:
        raise RefundTooMuch(left_fen=left_fen)
    if origin_of(by) is RefundOrigin.SYSTEM:
        return
    check_age(payment, at)
    never_there = (RefundState.REFUSED, RefundState.REJECTED)
    statement = select(func.count()).where(Refund.payment_id == payment.id, Refund.state.not_in(never_there))
    if (await session.execute(statement)).scalar_one() >= MOST_PARTS:
        raise TooManyRefunds(most=MOST_PARTS)


def check_age(payment: Payment, at: datetime) -> None:
    """Raises `RefundTooLate` (409)."""
    if payment.received_at is not None and at - payment.received_at >= LIFE:
        raise RefundTooLate(days=LIFE.days)


def _left_fen(payment: Payment) -> int:
    if payment.state != PaymentState.RECEIVED or payment.received_fen is None:
        return 0
    return payment.received_fen - payment.refunded_fen


def origin_of(by: str) -> RefundOrigin:
    """`system` by itself, and everybody else is staff."""
    return RefundOrigin.SYSTEM if by == "system" else RefundOrigin.STAFF


async def needs_approval(session: AsyncSession, payment: Payment, amount_fen: int, *, by: str) -> bool:
    """Is a second person needed? What staff asked for of this payment and nobody approved counts as one sum, so that
    many small refunds are no way around the limit."""
    limit_fen = (await policy.current(session)).refund_approval_above_fen
    if limit_fen is None or origin_of(by) is RefundOrigin.SYSTEM:
        return False
    statement = select(func.coalesce(func.sum(Refund.amount_fen), 0)).where(
        Refund.payment_id == payment.id,
        Refund.origin == RefundOrigin.STAFF,
        Refund.decided_by.is_(None),
        Refund.state.not_in(UNDONE),
    )
    alone_fen = int((await session.execute(statement)).scalar_one())
    return alone_fen + amount_fen > limit_fen
