"""Refunds of a shared payment: what was shared comes back first, then the refund goes on by itself.

WeChat refunds a payment whose sharing has begun only when the shares are back (WeChat Pay v3, 分账). Shares of persons
cannot come back; then the refund goes to WeChat, which decides, as long as it fits with them into what was received.
"""

from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from payments import cases
from payments.models import Payment, Refund, RefundState, RefundWait
from payments.payouts import returning, sharing
from payments.payouts.sharing_models import UNDER_WAY, ReturnState, Share, SharePart, ShareReturn, ShareState

_TRIES = 5
"""So often a return is begun by itself; then a person looks (those that failed have their cases)."""
_FIRST_REST = timedelta(minutes=5)
"""A return that failed is begun again after this long, then after four times as long, and so on."""


async def ready(session: AsyncSession, payment: Payment, at: datetime) -> bool:
    """May a refund that is claimed on `payment` (`refunded_fen`) go to WeChat now? If not, what must come first is begun.

    The caller holds the payment's lock, and leaves the refund `requested`: `wake` sets it going again.
    """
    if not payment.profit_sharing or not await _has_begun(session, payment):
        return True
    if await _is_moving(session, payment):
        return False
    if await _bring_back(session, payment, at):
        return False
    missing_fen = payment.shared_fen + payment.refunded_fen - (payment.received_fen or 0)
    if missing_fen > 0:
        facts = {"missing_fen": missing_fen}
        await cases.note(
            session, "share_not_returnable", payment.out_trade_no, at=at, payment_id=payment.id, facts=facts
        )
        return False
    cause = f"refund:{payment.out_trade_no}"
    tried = select(Share.id).where(Share.cause == cause)  # refused: WeChat's word on the refund itself decides
    if not await sharing.is_unfrozen(session, payment, at) and (await session.execute(tried)).first() is None:
        await sharing.request(
            session,
            payment,
            [],
            cause=cause,
            unfreeze=True,
            description="退款前解冻剩余资金",
            by="system",
            at=at,
        )
        return False
    return True


async def wake(session: AsyncSession, payment: Payment, at: datetime) -> None:
    """Something of a payment's shares has ended: its waiting refunds are due at once. The caller holds the payment."""
    waits = (Refund.state == RefundState.REQUESTED) & (Refund.waiting_for == RefundWait.SHARES)
    waiting = update(Refund).where(Refund.payment_id == payment.id, waits)
    await session.execute(waiting.values(check_at=at).execution_options(synchronize_session=False))


async def _has_begun(session: AsyncSession, payment: Payment) -> bool:
    begun = select(Share.id).where(Share.payment_id == payment.id, Share.state != ShareState.REFUSED)
    return (await session.execute(begun.limit(1))).first() is not None


async def _is_moving(session: AsyncSession, payment: Payment) -> bool:
    """A share or a return of this payment has not ended yet."""
    shares = select(Share.id).where(Share.payment_id == payment.id, Share.state.in_(UNDER_WAY))
    if (await session.execute(shares.limit(1))).first() is not None:
        return True
    backs = (
        select(ShareReturn.id)
        .join(SharePart, SharePart.id == ShareReturn.part_id)
        .join(Share, Share.id == SharePart.share_id)
        .where(Share.payment_id == payment.id, ShareReturn.state.in_(UNDER_WAY))
    )
    return (await session.execute(backs.limit(1))).first() is not None


async def _bring_back(session: AsyncSession, payment: Payment, at: datetime) -> bool:
    """Ask for every share that can come back. False when nothing was asked for, and nothing will be later."""
    coming = False
    for share, part in await returning.can_return(session, payment, at):
        in_vain = select(func.count(), func.max(ShareReturn.ended_at)).where(
            ShareReturn.part_id == part.id, ShareReturn.state != ReturnState.SUCCEEDED
        )
        tries, ended_at = (await session.execute(in_vain)).one()
        if tries >= _TRIES:
            continue
        coming = True
        if ended_at is None or at >= ended_at + _FIRST_REST * 4 ** (tries - 1):
            left_fen = part.amount_fen - part.returned_fen
            await returning.request(
                session, share, part.n, left_fen, description="订单退款，分账回退", by="system", at=at
            )
    return coming
