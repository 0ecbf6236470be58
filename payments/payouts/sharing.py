"""Shares of a payment (分账): claimed on the payment in the caller's transaction, at most what WeChat and the shop allow.

Locks: payment → share → parts.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kit import jobs
from kit.errors import Conflict, NotFound, Unprocessable
from payments.models import Payment, PaymentState
from payments.payouts import locking, pursuit, rules
from payments.payouts.sharing_models import (
    UNDER_WAY,
    USES_ITS_CAUSE,
    PartState,
    ReceiverState,
    Share,
    SharePart,
    ShareReceiver,
    ShareState,
)

JOB = "payments.share"
SHARE_FROM = timedelta(minutes=1)
"""WeChat shares from about a minute after the payment on …"""
SHARE_UNTIL = timedelta(days=30)
"""… and unfreezes what is left by itself after so long."""
_MAX_SHARES = 50
_WHOLE_BP = 10_000


class ShareNotFound(NotFound):
    """There is no such share."""

    zh = "未找到该分账单"


class NotShared(Conflict):
    """This payment was not opened for profit sharing, or holds no money."""

    zh = "该支付未开启分账或未入账"


class TooSoonToShare(Conflict):
    """WeChat shares a payment from a minute after it was made on."""

    zh = "支付完成一分钟后方可分账"
    retry_after_s = 60


class SharingOver(Conflict):
    """What was left of this payment is unfrozen: nothing more of it can be shared."""

    zh = "该支付剩余资金已解冻，不能再分账"


class ShareTooMuch(Unprocessable):
    """Only {left_fen} fen of this payment can still be shared."""

    zh = "超出可分账金额，最多 {left_fen} 分"


class ReceiverNotActive(Unprocessable):
    """Receiver {receiver_id} cannot get shares."""

    zh = "分账接收方 {receiver_id} 不可用"


class ShareCauseUsed(Conflict):
    """Share {out_order_no} was asked for with the same cause."""

    zh = "该事由已有分账单 {out_order_no}"


class Claim(msgspec.Struct, frozen=True):
    """What one receiver shall get."""

    receiver_id: int
    amount_fen: int
    description: str


async def request(
    session: AsyncSession,
    payment: Payment,
    claims: Sequence[Claim],
    *,
    cause: str,
    unfreeze: bool,
    description: str,
    by: str,
    at: datetime,
) -> Share:
    """Claim `claims` on the payment; with `unfreeze` the rest is the merchant's own afterwards. No claims: only that.

    The caller holds the payment's lock (`locking`). Raises `NotShared`, `TooSoonToShare`, `SharingOver`,
    `ShareCauseUsed` (409), `ShareTooMuch`, `ReceiverNotActive` (422).
    """
    turns = await session.scalar(select(func.count()).where(Share.payment_id == payment.id)) or 0
    if claims and turns >= _MAX_SHARES:
        raise SharingOver
    await _check_time(session, payment, at)
    amount_fen = sum(claim.amount_fen for claim in claims)
    left_fen = await shareable_fen(session, payment)
    if amount_fen > left_fen:
        raise ShareTooMuch(left_fen=left_fen)
    await _check_receivers(session, [claim.receiver_id for claim in claims])
    values = {
        "out_order_no": f"{payment.out_trade_no}S{turns + 1}",
        "payment_id": payment.id,
        "cause": cause,
        "unfreeze": unfreeze,
        "description": description,
        "state": ShareState.REQUESTED,
        "check_at": at + timedelta(seconds=20),
        "requested_by": by,
        "requested_at": at,
    }
    statement = insert(Share).values(values)
    statement = statement.on_conflict_do_nothing(index_elements=["cause"], index_where=USES_ITS_CAUSE)
    share = (await session.execute(statement.returning(Share))).scalar_one_or_none()
    if share is None:
        raise ShareCauseUsed(out_order_no=await session.scalar(select(Share.out_order_no).where(Share.cause == cause)))
    session.add_all(_part(share, n, claim) for n, claim in enumerate(claims, 1))
    payment.shared_fen += amount_fen
    await session.flush()
    await jobs.enqueue(session, JOB, share.out_order_no)
    return share


def _part(share: Share, n: int, claim: Claim) -> SharePart:
    return SharePart(
        share_id=share.id,
        n=n,
        receiver_id=claim.receiver_id,
        amount_fen=claim.amount_fen,
        description=claim.description,
        state=PartState.PENDING,
    )


async def _check_time(session: AsyncSession, payment: Payment, at: datetime) -> None:
    received = payment.state == PaymentState.RECEIVED and payment.applied and not payment.external
    if not payment.profit_sharing or not received or payment.received_at is None:
        raise NotShared
    if at < payment.received_at + SHARE_FROM:
        raise TooSoonToShare
    if await is_unfrozen(session, payment, at):
        raise SharingOver


async def is_unfrozen(session: AsyncSession, payment: Payment, at: datetime) -> bool:
    """Nothing of it is frozen, or will be for long: it was asked for, or its time is over."""
    if payment.received_at is None or at >= payment.received_at + SHARE_UNTIL:
        return True
    unfreezing = select(Share.id).where(
        Share.payment_id == payment.id, Share.unfreeze, Share.state != ShareState.REFUSED
    )
    return (await session.execute(unfreezing.limit(1))).first() is not None


async def shareable_fen(session: AsyncSession, payment: Payment) -> int:
    """What may still be shared. What came back stays the merchant's own, so shares count with what they were."""
    gross = (
        select(func.coalesce(func.sum(SharePart.amount_fen), 0))
        .join(Share, Share.id == SharePart.share_id)
        .where(Share.payment_id == payment.id, SharePart.state != PartState.CLOSED)
    )
    taken_fen = int(await session.scalar(gross) or 0)
    received_fen = payment.received_fen or 0
    allowed_fen = received_fen * (await rules.current(session)).share_at_most_bp // _WHOLE_BP
    return max(0, min(allowed_fen, received_fen - payment.refunded_fen) - taken_fen)


async def _check_receivers(session: AsyncSession, receiver_ids: Sequence[int]) -> None:
    statement = select(ShareReceiver.id).where(
        ShareReceiver.id.in_(receiver_ids), ShareReceiver.state == ReceiverState.ACTIVE
    )
    active = set(await session.scalars(statement))
    for receiver_id in receiver_ids:
        if receiver_id not in active:
            raise ReceiverNotActive(receiver_id=str(receiver_id))


async def parts_of(session: AsyncSession, share: Share) -> list[SharePart]:
    """In the order they were asked for. Whoever changes them holds the payment."""
    statement = select(SharePart).where(SharePart.share_id == share.id).order_by(SharePart.n)
    return list(await session.scalars(statement.execution_options(populate_existing=True)))


async def find(session: AsyncSession, out_order_no: str) -> tuple[Payment, Share] | None:
    """The share under its payment's lock."""
    payment_id = await session.scalar(select(Share.payment_id).where(Share.out_order_no == out_order_no))
    if payment_id is None:
        return None
    payment = await locking.by_id(session, payment_id)
    statement = select(Share).where(Share.out_order_no == out_order_no).execution_options(populate_existing=True)
    return payment, (await session.execute(statement)).scalar_one()


async def get(session: AsyncSession, out_order_no: str) -> tuple[Payment, Share]:
    """Raises `ShareNotFound` (404)."""
    found = await find(session, out_order_no)
    if found is None:
        raise ShareNotFound
    return found


async def due(session: AsyncSession, now: datetime) -> list[str]:
    """Shares under way whose time has come, for `sharing_pursuit.pursue`."""
    return await pursuit.due(session, Share, Share.out_order_no, UNDER_WAY, now)
