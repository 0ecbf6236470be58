"""A member's personal values go, everywhere and at once; what was traded stays, and names nobody any more.

What begins in the very moment of the erasure (an order that is being placed, a refund by staff) may bring a value in
behind it, and so does a refund of what stays, however late: so a job comes again when that is over.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import BigInteger, TextClause, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from kit import audit, jobs
from kit.errors import Conflict
from payments.payouts.models import ENDED
from shop.members import people
from shop.members.models import Member, MemberIdentity, MemberStatus
from shop.orders.models import Order
from shop.privacy.registry import HELD, Held

JOB: Final = "privacy.erase_again"
_AGAIN = timedelta(hours=2)
_NOS = "SELECT no FROM orders WHERE member_id = :id"
_UNDER_WAY = text(
    f"""
    SELECT (SELECT count(*) FROM orders WHERE member_id = :id AND state IN ('unpaid', 'closing', 'paid', 'shipped')),
        (SELECT count(*) FROM payment WHERE payable IN ({_NOS}) AND (state IN ('opening', 'open')
            OR state = 'received' AND NOT applied AND refunded_fen < received_fen)),
        (SELECT count(*) FROM refund WHERE payable IN ({_NOS})
            AND state IN ('waiting', 'requested', 'processing', 'abnormal')),
        (SELECT count(*) FROM transfer JOIN identity i USING (appid, openid) WHERE i.member_id = :id
            AND (state <> ALL(:ended) OR requested_at > :today))
    """  # noqa: S608  (only our own constants)
).bindparams(bindparam("id", type_=BigInteger))


class StillUnderWay(Conflict):
    """Orders ({orders}), payments ({payments}), refunds ({refunds}) or transfers ({transfers}) are under way; wait for their end."""

    zh = "还有进行中的订单（{orders}）、支付（{payments}）、退款（{refunds}）或转账（{transfers}），完成后才能注销"


async def erase(session: AsyncSession, member_id: int, *, by: str, at: datetime) -> None:
    """Erase a member; the same person may come again, as somebody new.

    Locks the identities, so that no sign-in goes on with one, then the member. Raises `MemberNotFound` (404),
    `StillUnderWay` (409).
    """
    await _lock(session, member_id)
    await _refuse_what_is_under_way(session, member_id, at)
    await _sweep(session, member_id)
    await audit.record(session, at=at, actor=by, action="member.erase", subject=("member", member_id))
    await jobs.enqueue(session, JOB, str(member_id), after=_AGAIN)


async def erase_again(session: AsyncSession, member_id: int, at: datetime) -> None:
    """What came in behind the erasure. Raises `StillUnderWay`: the job is tried again."""
    member = await _lock(session, member_id)
    if member.status == MemberStatus.ERASED:
        await _refuse_what_is_under_way(session, member_id, at)
        await _sweep(session, member_id)


async def after_refund(session: AsyncSession, order_no: str) -> None:
    """A refund of this order has ended. If its member is erased, its reason and what WeChat says of the payer's account
    go too: not at once, for WeChat may still say it once more."""
    statement = select(Order.member_id).join(Member, Member.id == Order.member_id)
    erased = statement.where(Order.no == order_no, Member.status == MemberStatus.ERASED)
    member_id = await session.scalar(erased)
    if member_id is not None:
        await jobs.enqueue(session, JOB, str(member_id), after=_AGAIN)


async def _lock(session: AsyncSession, member_id: int) -> Member:
    await session.execute(
        select(MemberIdentity.id)
        .where(MemberIdentity.member_id == member_id)
        .order_by(MemberIdentity.id)
        .with_for_update()
    )
    await session.execute(select(Member.id).where(Member.id == member_id).with_for_update())
    return await people.get(session, member_id)


async def _refuse_what_is_under_way(session: AsyncSession, member_id: int, at: datetime) -> None:
    """A transfer of the last day counts too: the day's cap is of the openid, and must not begin anew with it."""
    values = {"id": member_id, "ended": sorted(ENDED), "today": at - timedelta(days=1)}
    orders, payments, refunds, transfers = (await session.execute(_UNDER_WAY, values)).one()
    if orders or payments or refunds or transfers:
        raise StillUnderWay(orders=orders, payments=payments, refunds=refunds, transfers=transfers)


async def _sweep(session: AsyncSession, member_id: int) -> None:
    for held in HELD:
        if held.removed or held.becomes:
            await session.execute(_statement(held), {"member": member_id})
    session.expire_all()


def _statement(held: Held) -> TextClause:
    if held.removed:
        change = f"DELETE FROM {held.table}"  # noqa: S608  (the registry's words)
    else:
        values = ", ".join(f"{column} = {value}" for column, value in held.becomes.items())
        change = f"UPDATE {held.table} SET {values}"  # noqa: S608
    return text(f"{change} WHERE {held.whose}").bindparams(bindparam("member", type_=BigInteger))
