"""One sheet for several payables (WeChat Pay v3, combined payment): one number for the sheet, one attempt for each part.

WeChat queries and closes only a whole combination. Each part is settled by itself, in a transaction of its own: the
rows of its order's goods are locked last, and the next part's payment would come after them.
"""

from collections.abc import Sequence
from contextlib import suppress

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.clock import Clock
from kit.database import Database
from payments import attempts
from payments.attempts import WeChatPayUnknown
from payments.models import Payment
from payments.ports import Payee
from payments.trades import CombinedTrade, Trade
from payments.wechatpay.gateway import Gateway, Refused, Unknown

log = structlog.get_logger()


async def is_whole(session: AsyncSession, live: Sequence[Payment], payables: Sequence[str]) -> bool:
    """Are these live attempts one combination, of exactly these payables and no others?"""
    numbers = {payment.combine_no for payment in live}
    if len(numbers) != 1 or None in numbers or {payment.payable for payment in live} != set(payables):
        return False
    return len(await _parts(session, str(live[0].combine_no))) == len(payables)


def parts(plain: bytes) -> list[Trade]:
    """The paid parts of a notification's plain text, if it tells of a combination; settled in this order."""
    with suppress(msgspec.MsgspecError, UnicodeDecodeError):
        said = msgspec.json.decode(plain, type=CombinedTrade)
        return sorted((trade for trade in said.trades if trade.paid), key=lambda trade: trade.out_trade_no)
    return []


async def ask(db: Database, gateway: Gateway, payee: Payee, clock: Clock, combine_no: str, out_trade_no: str) -> str:
    """Query the combination and take over what WeChat says of each part. What came of `out_trade_no`.

    Raises `WeChatPayUnknown` (503).
    """
    trades = await _query(gateway, combine_no)
    if trades is None:
        return "not_there"
    return (await _take_over(db, payee, clock, trades)).get(out_trade_no, "not_there")


async def close(db: Database, gateway: Gateway, payee: Payee, clock: Clock, combine_no: str) -> None:
    """Close all of it at WeChat, then ask what became of each part. Raises `WeChatPayUnknown` (503)."""
    async with db.begin() as session:
        parts = await _parts(session, combine_no)
    try:
        numbers = [part.out_trade_no for part in parts]
        await gateway.close_combined(combine_no, numbers, appid=parts[0].appid)
    except (Refused, Unknown) as answer:
        log.info("close", combination=combine_no, answer=str(answer))
    trades = await _query(gateway, combine_no)
    if trades is not None:
        await _take_over(db, payee, clock, trades)
        return
    async with db.begin() as session:
        for number in numbers:
            await attempts.mark_closed(session, number, clock.now())


async def _take_over(db: Database, payee: Payee, clock: Clock, trades: Sequence[Trade]) -> dict[str, str]:
    outcomes = {}
    for trade in trades:
        async with db.begin() as session:
            outcomes[trade.out_trade_no] = await attempts.take_over(session, payee, trade, clock.now())
    return outcomes


async def _query(gateway: Gateway, combine_no: str) -> list[Trade] | None:
    try:
        return await gateway.query_combined(combine_no)
    except (Refused, Unknown) as error:
        log.warning("query", combination=combine_no, answer=str(error))
        raise WeChatPayUnknown from error


async def _parts(session: AsyncSession, combine_no: str) -> list[Payment]:
    """In the order in which whoever holds several of them at once locks them (`LOCKED_BY`)."""
    statement = select(Payment).where(Payment.combine_no == combine_no).order_by(attempts.LOCKED_BY)
    return list(await session.scalars(statement))
