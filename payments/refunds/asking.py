"""Asking WeChat about refunds that have been silent too long."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit import jobs
from kit.clock import Clock
from kit.database import Database
from payments.models import Refund, RefundState
from payments.ports import Payee
from payments.refunds import learning, promising
from payments.wechatpay.gateway import Gateway, Refused, Unknown

log = structlog.get_logger()

_QUESTIONS = (
    learning.FIRST_QUESTION,
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=6),
    timedelta(days=1),
)
_SILENCE = timedelta(minutes=10)
_LOOKED_AT = (RefundState.REQUESTED, RefundState.PROCESSING, RefundState.ABNORMAL)


async def ask(db: Database, gateway: Gateway, payee: Payee, clock: Clock, out_refund_no: str) -> None:
    """Query one refund and take over what WeChat says of it. Unknown answers change nothing."""
    try:
        trade = await gateway.query_refund(out_refund_no)
    except (Refused, Unknown) as error:
        log.warning("refund query", refund=out_refund_no, answer=str(error))
        return
    if trade is not None:
        async with db.begin() as session:
            await learning.learn(session, payee, trade, clock.now())


async def sweep(session: AsyncSession, now: datetime, limit: int = 50) -> list[tuple[str, str]]:
    """Refunds that have been silent too long, as (out_refund_no, state), each put off to its next turn.

    Those still `requested` are enqueued here (their minute is over, there may be money now, a job was parked or its
    worker lost); the others are for `ask`, also the abnormal ones: somebody may have mended them in the portal.
    """
    statement = (
        select(Refund)
        .where(Refund.state.in_(_LOOKED_AT), Refund.check_at <= now)
        .order_by(Refund.check_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    due = list((await session.execute(statement)).scalars())
    for refund in due:
        if refund.state == RefundState.REQUESTED:
            refund.check_at = now + _SILENCE
            await jobs.enqueue(session, promising.JOB, refund.out_refund_no)
        else:
            refund.attempts += 1
            turn = len(_QUESTIONS) if refund.state == RefundState.ABNORMAL else refund.attempts
            refund.check_at = now + _QUESTIONS[min(turn, len(_QUESTIONS) - 1)]
    return [(refund.out_refund_no, refund.state) for refund in due]
