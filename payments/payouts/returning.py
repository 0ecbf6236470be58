"""Shares come back (分账回退): from merchants only, each with a number of its own.

Locks: payment → share → part → return.
"""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from kit import jobs
from kit.errors import Conflict, NotFound, Unprocessable
from payments.models import Payment
from payments.payouts import locking, pursuit
from payments.payouts.sharing_models import (
    UNDER_WAY,
    PartState,
    ReceiverKind,
    ReturnState,
    Share,
    SharePart,
    ShareReceiver,
    ShareReturn,
)

JOB = "payments.share_return"
RETURN_UNTIL = timedelta(days=180)


class PartNotFound(NotFound):
    """This share has no part {n}."""

    zh = "分账单没有第 {n} 个接收方"


class NotReturnable(Conflict):
    """This part cannot come back: {why}."""

    zh = "该笔分账不可回退：{why}"


class ReturnTooMuch(Unprocessable):
    """Only {left_fen} fen of this part can still come back."""

    zh = "超出可回退金额，最多 {left_fen} 分"


async def request(
    session: AsyncSession, share: Share, n: int, amount_fen: int, *, description: str, by: str, at: datetime
) -> ShareReturn:
    """Have `amount_fen` of part `n` come back. The caller holds the payment's lock.

    Raises `PartNotFound` (404), `NotReturnable` (409), `ReturnTooMuch` (422).
    """
    statement = (
        select(SharePart, ShareReceiver)
        .join(ShareReceiver, ShareReceiver.id == SharePart.receiver_id)
        .where(SharePart.share_id == share.id, SharePart.n == n)
        .execution_options(populate_existing=True)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise PartNotFound(n=n)
    part, who = row
    why = _why_not(share, part, who, at)
    if why is not None:
        raise NotReturnable(why=why)
    left_fen = part.amount_fen - part.returned_fen
    if amount_fen > left_fen:
        raise ReturnTooMuch(left_fen=left_fen)
    turn = 1 + (await session.scalar(select(func.count()).where(ShareReturn.part_id == part.id)) or 0)
    back = ShareReturn(
        out_return_no=f"{share.out_order_no}N{part.n}R{turn}",
        part_id=part.id,
        amount_fen=amount_fen,
        description=description,
        state=ReturnState.REQUESTED,
        check_at=at + timedelta(seconds=20),
        requested_by=by,
        requested_at=at,
    )
    session.add(back)
    part.returned_fen += amount_fen
    await session.flush()
    await jobs.enqueue(session, JOB, back.out_return_no)
    return back


def _why_not(share: Share, part: SharePart, who: ShareReceiver, at: datetime) -> str | None:
    if who.kind != ReceiverKind.MERCHANT_ID:
        return "personal"
    if part.state != PartState.SUCCESS:
        return part.state
    if at >= share.requested_at + RETURN_UNTIL:
        return "too_late"
    return None


async def can_return(session: AsyncSession, payment: Payment, at: datetime) -> list[tuple[Share, SharePart]]:
    """Parts of this payment that may still come back in whole or in part, the latest first."""
    statement = (
        select(Share, SharePart, ShareReceiver)
        .join(SharePart, SharePart.share_id == Share.id)
        .join(ShareReceiver, ShareReceiver.id == SharePart.receiver_id)
        .where(Share.payment_id == payment.id, SharePart.returned_fen < SharePart.amount_fen)
        .order_by(SharePart.id.desc())
    )
    rows = await session.execute(statement)
    return [(share, part) for share, part, who in rows if _why_not(share, part, who, at) is None]


async def find(session: AsyncSession, out_return_no: str) -> tuple[Payment, Share, SharePart, ShareReturn] | None:
    """The return with all that it changes, under its payment's lock."""
    statement = (
        select(Share, SharePart, ShareReturn)
        .join(SharePart, SharePart.share_id == Share.id)
        .join(ShareReturn, ShareReturn.part_id == SharePart.id)
        .where(ShareReturn.out_return_no == out_return_no)
        .execution_options(populate_existing=True)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None
    payment = await locking.by_id(session, row[0].payment_id)
    share, part, back = (await session.execute(statement)).one()  # as they are now, under the lock
    return payment, share, part, back


async def due(session: AsyncSession, now: datetime) -> list[str]:
    """Returns under way whose time has come, for `return_pursuit.pursue`."""
    return await pursuit.due(session, ShareReturn, ShareReturn.out_return_no, UNDER_WAY, now)
