"""The payment code at the counter: the cashier scans what the payer shows (WeChat Pay v3, code-pay).

Synchronous and without a notification: the intent is committed, WeChat is called, and while the payer types a password
(`USERPAYING`), or when the answer was lost, WeChat is asked every few seconds. When `expires_at` is over, the attempt is
*reversed*: a payment code cannot be closed. A reverse that meets a payment sends its money back, so from the moment
`reversing_at` is committed nobody settles this attempt (`settlement` and a constraint refuse): whatever WeChat says in
between, it ends with the money back. Only a reverse that WeChat refuses makes it an ordinary payment again.

The code itself is a secret of the payer: it is passed on to WeChat and kept nowhere.
"""

from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from kit.clock import Clock
from kit.database import Database
from payments import attempts, cases
from payments.attempts import WeChatPayUnknown
from payments.models import LIVE, Payment, PaymentState
from payments.ports import Payee
from payments.trades import Trade
from payments.wechatpay.gateway import Gateway, Refused, Unknown

log = structlog.get_logger()

CHANNEL: Final = "code"
WAIT: Final = timedelta(seconds=45)
"""So long the payer may type; WeChat's own advice is 30 to 45 s."""
_CALM = timedelta(seconds=15)
"""WeChat: no reverse within 15 s of the call."""
_STORE: Final = "1"
"""WeChat wants a store's number; there is one location."""
_LEASE = timedelta(seconds=30)
"""One reverse at a time: longer than a call may take."""
_STUCK: Final = "reverse_stuck"
_STUCK_AFTER = timedelta(hours=1)
"""A reverse that has come to no end by then is a case: perhaps the payer has paid and nobody has the goods."""


async def call(db: Database, gateway: Gateway, payee: Payee, clock: Clock, payment: Payment, auth_code: str) -> None:
    """Pass the code on, once, and take over the answer. When it is lost, the sweep finds out what came of it."""
    try:
        trade = await gateway.charge_code(
            out_trade_no=payment.out_trade_no,
            description=payment.description,
            amount_fen=payment.amount_fen,
            auth_code=auth_code,
            store_id=_STORE,
        )
    except Unknown as error:
        log.warning("payment code", payment=payment.out_trade_no, answer=str(error))
        return
    except Refused as error:
        log.info("payment code", payment=payment.out_trade_no, answer=error.code)
        await _refused(db, gateway, payee, clock, payment, error.code)
        return
    async with db.begin() as session:
        if not (trade.paid or trade.dead):
            await _waits(session, payment.out_trade_no)
        await attempts.take_over(session, payee, trade, clock.now())


async def _waits(session: AsyncSession, out_trade_no: str) -> None:
    payment = await attempts.lock(session, out_trade_no)
    if payment is not None and payment.state == PaymentState.OPENING:
        payment.move(PaymentState.OPEN)


async def _refused(db: Database, gateway: Gateway, payee: Payee, clock: Clock, payment: Payment, code: str) -> None:
    """WeChat says no (an old code, not enough money): what counts is again what a query says."""
    try:
        trade = await gateway.query(payment.out_trade_no)
    except (Refused, Unknown) as error:
        log.warning("query", payment=payment.out_trade_no, answer=str(error))
        return  # the sweep asks
    async with db.begin() as session:
        if trade is None:
            await attempts.mark_closed(session, payment.out_trade_no, clock.now(), why=code)
        else:
            await attempts.take_over(session, payee, trade, clock.now())


def give_up(payment: Payment, at: datetime) -> None:
    """Wait no longer: the next look reverses a locked attempt, as soon as WeChat allows it."""
    if payment.state in LIVE:
        payment.expires_at = min(payment.expires_at, at)
        payment.check_at = max(at, payment.created_at + _CALM)
        payment.checks = 0


async def pursue(
    db: Database, gateway: Gateway, payee: Payee, clock: Clock, payment: Payment, *, over: bool = False
) -> str:
    """Ask how far it is; and reverse it when its time is over (`over`: whatever the time). Says what came of it.

    What was closed is asked for too, for a bill may know better, but never reversed again.

    Raises `WeChatPayUnknown` (503).
    """
    if payment.state == PaymentState.RECEIVED:
        return payment.state
    trade = await attempts.query(gateway, payment.out_trade_no)
    if payment.state == PaymentState.CLOSED:
        return await _after_all(db, payee, clock, payment, trade)
    if payment.reversing_at is None:
        if trade is not None and (trade.paid or trade.dead):
            async with db.begin() as session:
                return await attempts.take_over(session, payee, trade, clock.now())
        if not _may_reverse(payment, clock.now(), over=over):
            return "userpaying"
    elif trade is None or trade.dead:
        return await _reversed(db, clock, payment)
    return await _reverse(db, gateway, payee, clock, payment)


async def _after_all(db: Database, payee: Payee, clock: Clock, payment: Payment, trade: Trade | None) -> str:
    """Given up when WeChat did not know it, and there now, neither reversed nor refunded: it is money like any other."""
    if trade is None or trade.trade_state != "SUCCESS":
        return payment.state
    now = clock.now()
    async with db.begin() as session:
        locked = await attempts.lock(session, payment.out_trade_no)
        if locked is not None and locked.state == PaymentState.CLOSED:
            if locked.reversing_at is not None and now - locked.reversing_at < _LEASE:
                return locked.state  # a slow reverse may still be on its way
            locked.reversing_at = None
            await session.flush()
        return await attempts.take_over(session, payee, trade, now)


def _may_reverse(payment: Payment, now: datetime, *, over: bool) -> bool:
    return (over or now >= payment.expires_at) and now >= payment.created_at + _CALM


async def _reverse(db: Database, gateway: Gateway, payee: Payee, clock: Clock, payment: Payment) -> str:
    """Commit the intent, reverse, and ask what came of it."""
    intended_at = await _intend(db, clock, payment.out_trade_no)
    if intended_at is None:
        raise WeChatPayUnknown
    refused = False
    try:
        await gateway.reverse(payment.out_trade_no)
    except Refused as error:
        refused = True
        log.warning("reverse", payment=payment.out_trade_no, answer=str(error))
    except Unknown as error:
        log.warning("reverse", payment=payment.out_trade_no, answer=str(error))
        raise WeChatPayUnknown from error
    trade = await attempts.query(gateway, payment.out_trade_no)
    given_back = trade is not None and trade.trade_state == "REFUND" and not refused
    if trade is None or trade.dead or given_back:  # refused, it was refunded by hand, perhaps in part
        return await _reversed(db, clock, payment)
    if refused and trade.paid:
        return await _kept(db, payee, clock, trade, intended_at)
    raise WeChatPayUnknown


async def _intend(db: Database, clock: Clock, out_trade_no: str) -> datetime | None:
    """From here on it is not settled any more. `None` when it has ended, or another hand is at it."""
    now = clock.now()
    async with db.begin() as session:
        payment = await attempts.lock(session, out_trade_no)
        if payment is None or payment.state not in LIVE:
            return None
        if payment.reversing_at is not None and now - payment.reversing_at < _LEASE:
            return None
        if payment.reversing_at is not None and now - payment.expires_at >= _STUCK_AFTER:
            facts = {"payable": payment.payable, "amount_fen": payment.amount_fen}
            await cases.note(session, _STUCK, out_trade_no, at=now, payment_id=payment.id, facts=facts)
        payment.reversing_at = now
        return now


async def _reversed(db: Database, clock: Clock, payment: Payment) -> str:
    async with db.begin() as session:
        await attempts.mark_closed(session, payment.out_trade_no, clock.now(), why="REVOKED")
        await cases.over(session, _STUCK, payment.out_trade_no, "reversed", clock.now())
    return "reversed"


async def _kept(db: Database, payee: Payee, clock: Clock, trade: Trade, intended_at: datetime) -> str:
    """WeChat will not reverse it, and it is paid: then it counts like any other payment.

    Unless another hand has begun a reverse since: that one may have given the money back. Raises `WeChatPayUnknown` (503).
    """
    async with db.begin() as session:
        payment = await attempts.lock(session, trade.out_trade_no)
        if payment is None or payment.state not in LIVE or payment.reversing_at != intended_at:
            raise WeChatPayUnknown
        payment.reversing_at = None
        await session.flush()
        await cases.over(session, _STUCK, trade.out_trade_no, "kept", clock.now())
        return await attempts.take_over(session, payee, trade, clock.now())
