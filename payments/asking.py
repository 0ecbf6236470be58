"""Asking WeChat, when the news is late; and ending an attempt so that nobody can pay it any more.

An attempt of its own is asked for by its number; one of a combination only with all the others of it (`combined`); a
payment code cannot be closed, only reversed (`counter`).
"""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.clock import Clock
from kit.database import Database
from payments import attempts, combined, counter
from payments.attempts import WeChatPayUnknown
from payments.models import LIVE, Payment, PaymentState
from payments.ports import Payee
from payments.wechatpay.gateway import Gateway, Refused, Unknown

__all__ = ["WeChatPayUnknown", "ask", "close", "sweep"]

log = structlog.get_logger()

_CHECKS = tuple(timedelta(seconds=s) for s in (5, 30, 60, 180, 300, 600, 1800))
"""After this long without news WeChat is asked (its own suggestion for polling)."""
_PATIENT = 14
"""A payment code is asked about every few seconds this often; then it is over, or something is wrong with WeChat."""


async def ask(db: Database, gateway: Gateway, payee: Payee, clock: Clock, out_trade_no: str) -> str:
    """Query one attempt and take over what WeChat says. Returns what came of it.

    Raises `WeChatPayUnknown` (503).
    """
    payment = await attempts.look(db, out_trade_no)
    if payment is not None and payment.combine_no is not None:
        return await combined.ask(db, gateway, payee, clock, payment.combine_no, out_trade_no)
    if payment is not None and payment.channel == counter.CHANNEL:
        return await counter.pursue(db, gateway, payee, clock, payment)
    trade = await attempts.query(gateway, out_trade_no)
    if trade is None:
        return "not_there"
    async with db.begin() as session:
        return await attempts.take_over(session, payee, trade, clock.now())


async def close(db: Database, gateway: Gateway, payee: Payee, clock: Clock, out_trade_no: str) -> PaymentState:
    """Make sure that nobody can pay this attempt: close it at WeChat, then ask. `RECEIVED` when somebody had paid.

    A close and a payment may race, so what counts is the answer to the query, also when the close itself was refused
    or its answer lost. Raises `WeChatPayUnknown` (503): the attempt stays as it is and must be closed again.
    """
    payment = await attempts.look(db, out_trade_no)
    if payment is not None and payment.combine_no is not None:
        await combined.close(db, gateway, payee, clock, payment.combine_no)
    elif payment is not None and payment.channel == counter.CHANNEL:
        await counter.pursue(db, gateway, payee, clock, payment, over=True)
    else:
        await _close_single(db, gateway, payee, clock, out_trade_no)
    payment = await attempts.look(db, out_trade_no)
    if payment is None or payment.state in LIVE:
        raise WeChatPayUnknown
    return PaymentState(payment.state)


async def _close_single(db: Database, gateway: Gateway, payee: Payee, clock: Clock, out_trade_no: str) -> None:
    try:
        await gateway.close(out_trade_no)
    except (Refused, Unknown) as answer:
        log.info("close", payment=out_trade_no, answer=str(answer))
    trade = await attempts.query(gateway, out_trade_no)
    async with db.begin() as session:
        if trade is None:
            await attempts.mark_closed(session, out_trade_no, clock.now())
        else:
            await attempts.take_over(session, payee, trade, clock.now())


async def sweep(session: AsyncSession, now: datetime, limit: int = 50) -> list[str]:
    """Live attempts whose news is late, each put off to its next turn; for `ask`. One number stands for a combination."""
    statement = (
        select(Payment)
        .where(Payment.state.in_(LIVE), Payment.check_at <= now)
        .order_by(Payment.check_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    due = list((await session.execute(statement)).scalars())
    for payment in due:
        payment.checks += 1
        payment.check_at = now + _pause(payment)
    return list({payment.combine_no or payment.out_trade_no: payment.out_trade_no for payment in due}.values())


def _pause(payment: Payment) -> timedelta:
    if payment.channel == counter.CHANNEL and payment.checks < _PATIENT:
        return _CHECKS[0]
    return _CHECKS[min(payment.checks, len(_CHECKS) - 1)]
