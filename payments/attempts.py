"""What is known of one attempt to be paid, and what WeChat's word changes about it.

Locks: the payment first, as everywhere.
"""

from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.database import Database
from kit.errors import Unavailable
from payments import settlement
from payments.models import LIVE, Payment, PaymentState
from payments.ports import Payee
from payments.trades import Trade
from payments.wechatpay.gateway import Gateway, Refused, Unknown

log = structlog.get_logger()

LOCKED_BY = Payment.out_trade_no.collate("C")
"""Parts of one combination are locked in the order of their numbers, everywhere: a notification knows no ids. As Python
sorts them, whatever the database's language."""


class WeChatPayUnknown(Unavailable):
    """WeChat Pay did not answer; nothing is lost, ask again shortly."""

    zh = "微信支付暂未响应，请稍后重试"


async def look(db: Database, out_trade_no: str) -> Payment | None:
    """The attempt as it stands, unlocked: enough to know how WeChat is to be asked about it."""
    async with db.begin() as session:
        statement = select(Payment).where(Payment.out_trade_no == out_trade_no)
        return (await session.execute(statement)).scalar_one_or_none()


async def query(gateway: Gateway, out_trade_no: str) -> Trade | None:
    """What WeChat knows of it; `None`: nothing. Raises `WeChatPayUnknown` (503), also for a refusal to tell."""
    try:
        return await gateway.query(out_trade_no)
    except (Refused, Unknown) as error:
        log.warning("query", payment=out_trade_no, answer=str(error))
        raise WeChatPayUnknown from error


async def lock(session: AsyncSession, out_trade_no: str) -> Payment | None:
    """The attempt, locked."""
    statement = select(Payment).where(Payment.out_trade_no == out_trade_no).with_for_update(key_share=True)
    return (await session.execute(statement.execution_options(populate_existing=True))).scalar_one_or_none()


async def take_over(session: AsyncSession, payee: Payee, trade: Trade, at: datetime) -> str:
    """Make our row say what WeChat says: settled, `closed`, or `unpaid` as before."""
    if trade.paid:
        return await settlement.settle(session, payee, trade, at)
    if trade.dead:
        await mark_closed(session, trade.out_trade_no, at, why=trade.trade_state)
        return "closed"
    return "unpaid"


async def mark_closed(session: AsyncSession, out_trade_no: str, at: datetime, *, why: str | None = None) -> None:
    """Nobody can pay it any more. Nothing happens to one that is paid, or closed already."""
    payment = await lock(session, out_trade_no)
    if payment is not None and payment.state in LIVE:
        payment.move(PaymentState.CLOSED)
        payment.closed_at = at
        payment.last_error = payment.last_error or why
