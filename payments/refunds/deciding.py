"""The second person. Above the shop's limit a refund that staff asked for waits; another one approves or rejects it.

Locks: payment → (payee) order → refund, so an approval and a rejection at once are one after the other.
"""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from kit import jobs
from kit.errors import Conflict, Forbidden, NotFound
from payments import cases
from payments.models import Payment, Refund, RefundState
from payments.ports import Payee
from payments.refunds import learning, portal, promising, rules
from payments.refunds.locking import lock


class RefundNotFound(NotFound):
    """There is no such refund."""

    zh = "未找到该退款"


class RefundNotWaiting(Conflict):
    """This refund waits for nobody's approval; it is {state}."""

    zh = "该退款无需审批，当前状态为 {state}"


class OwnRefund(Forbidden):
    """Another person than the one who asked for this refund must decide."""

    zh = "不能审批自己发起的退款，请由他人处理"


async def get(session: AsyncSession, out_refund_no: str) -> tuple[Payment, Refund]:
    """The refund under its payment's lock. Raises `RefundNotFound` (404)."""
    found = await lock(session, out_refund_no)
    if found is None:
        raise RefundNotFound
    return found


async def approve(session: AsyncSession, out_refund_no: str, *, by: str, at: datetime) -> Refund:
    """Let it go. Raises `RefundNotFound` (404), `RefundNotWaiting`, `RefundTooLate` (409), `OwnRefund` (403)."""
    payment, refund = await _waiting(session, out_refund_no, by)
    rules.check_age(payment, at)
    refund.move(RefundState.REQUESTED)
    refund.decided_by, refund.decided_at = by, at
    refund.check_at = at + promising.FIRST_CHECK
    await jobs.enqueue(session, promising.JOB, out_refund_no)
    return refund


async def reject(
    session: AsyncSession, payee: Payee, out_refund_no: str, *, by: str, reason: str, at: datetime
) -> Refund:
    """Keep the money: what was claimed is free again, and the payee is told. The reason stands in `last_error`.

    Raises `RefundNotFound` (404), `RefundNotWaiting` (409), `OwnRefund` (403).
    """
    payment, refund = await _waiting(session, out_refund_no, by)
    await learning.tell(session, payee, refund, RefundState.REJECTED, by=by, at=at)
    refund.move(RefundState.REJECTED)
    refund.decided_by, refund.decided_at, refund.last_error = by, at, reason
    await promising.free(session, payment, refund, at)
    if not payment.applied:  # no order keeps it: somebody must find another way
        await cases.note(session, "refund_rejected", out_refund_no, at=at, payment_id=payment.id)
    await portal.look_again(session, payment)
    return refund


async def _waiting(session: AsyncSession, out_refund_no: str, by: str) -> tuple[Payment, Refund]:
    payment, refund = await get(session, out_refund_no)
    if refund.state != RefundState.WAITING:
        raise RefundNotWaiting(state=refund.state)
    if refund.requested_by == by:
        raise OwnRefund
    return payment, refund
