"""Asking WeChat, when the news is late; and closing an attempt so that nobody can pay it any more."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.clock import Clock
from kit.database import Database
from kit.errors import Unavailable
from payments import settlement
from payments.models import LIVE, Payment, PaymentState
from payments.ports import Payee
from payments.trades import Trade
from payments.wechatpay.gateway import Gateway, Refused, Unknown

log = structlog.get_logger()

_CHECKS = tuple(timedelta(seconds=s) for s in (5, 30, 60, 180, 300, 600, 1800))
"""After this long without news WeChat is asked (its own suggestion for polling)."""


class WeChatPayUnknown(Unavailable):
    """WeChat Pay did not answer; nothing is lost, ask again shortly."""

    zh = "微信支付暂未响应，请稍后重试"


async def ask(db: Database, gateway: Gateway, payee: Payee, clock: Clock, out_trade_no: str) -> str:
    """Query one attempt and take over what WeChat says. Returns what came of it.

    Raises `WeChatPayUnknown` (503).
    """
    trade = await _query(gateway, out_trade_no)
    if trade is None:
        return "not_there"
    async with db.begin() as session:
        return await _take_over(session, payee, trade, clock.now())


async def close(db: Database, gateway: Gateway, payee: Payee, clock: Clock, out_trade_no: str) -> PaymentState:
    """Make sure that nobody can pay this attempt: close it at WeChat, then ask. `RECEIVED` when somebody had paid.

    A close and a payment may race, so what counts is the answer to the query, also when the close itself was refused
    or its answer lost. Raises `WeChatPayUnknown` (503): the attempt stays as it is and must be closed again.
    """
    try:
        await gateway.close(out_trade_no)
    except (Refused, Unknown) as answer:
        log.info("close", payment=out_trade_no, answer=str(answer))
    trade = await _query(gateway, out_trade_no)
    async with db.begin() as session:
        if trade is None:
            await _mark_closed(session, out_trade_no, clock.now())
        else:
            await _take_over(session, payee, trade, clock.now())
        state = await session.scalar(select(Payment.state).where(Payment.out_trade_no == out_trade_no))
    if state in LIVE:
        raise WeChatPayUnknown
    return PaymentState(str(state))


async def _query(gateway: Gateway, out_trade_no: str) -> Trade | None:
    try:
        return await gateway.query(out_trade_no)
    except (Refused, Unknown) as error:
        log.warning("query", payment=out_trade_no, answer=str(error))
        raise WeChatPayUnknown from error


async def _take_over(session: AsyncSession, payee: Payee, trade: Trade, at: datetime) -> str:
    if trade.paid:
        return await settlement.settle(session, payee, trade, at)
    if trade.dead:
        await _mark_closed(session, trade.out_trade_no, at)
        return "closed"
    return "unpaid"


async def _mark_closed(session: AsyncSession, out_trade_no: str, at: datetime) -> None:
    statement = select(Payment).where(Payment.out_trade_no == out_trade_no).with_for_update(key_share=True)
    payment = (await session.execute(statement)).scalar_one_or_none()
    if payment is not None and payment.state in LIVE:
        payment.move(PaymentState.CLOSED)
        payment.closed_at = at


async def sweep(session: AsyncSession, now: datetime, limit: int = 50) -> list[str]:
    """Live attempts whose news is late, each put off to its next turn; for `ask`."""
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
        payment.check_at = now + _CHECKS[min(payment.checks, len(_CHECKS) - 1)]
    return [payment.out_trade_no for payment in due]
