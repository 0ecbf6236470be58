"""Asking for money: the intent first, then WeChat, then what it said.

One payable, many attempts, one live at a time (a partial unique index). An attempt is reused while it is unchanged;
otherwise it is closed, the close is confirmed, and a new one opened.
"""

from datetime import datetime, timedelta

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit import jobs
from kit.clock import Clock
from kit.database import Database
from kit.errors import Conflict, Unavailable
from kit.numbers import new_no
from payments import asking, refunds
from payments.models import LIVE, Payment, PaymentState
from payments.ports import Payee
from payments.settlement import CLOSE_JOB
from payments.wechatpay.gateway import Gateway, PayParams, Refused, Unknown

log = structlog.get_logger()

_PREPAY_LIFE = timedelta(minutes=110)
"""WeChat keeps a `prepay_id` for two hours."""
_ANOTHER_NUMBER = frozenset(
    {"ORDERPAID", "ORDERCLOSED", "OUTTRADENOUSED", "INVALIDREQUEST", "ORDERREVERSED", "TRADEERROR"}
)
"""Refusals that may mean: this number is used up. WeChat is asked what became of it."""


class NotPayable(Conflict):
    """This can no longer be paid."""

    zh = "当前不可支付"


class PaymentRefused(Unavailable):
    """WeChat Pay refuses to open this payment; the shop has been told."""

    zh = "微信支付暂不可用，商家已收到提醒"
    retry_after_s = 60


class Bill(msgspec.Struct, frozen=True):
    """What is to be paid, by whom, until when."""

    payable: str
    amount_fen: int
    description: str
    openid: str
    expires_at: datetime


async def begin(session: AsyncSession, gateway: Gateway, bill: Bill, at: datetime) -> Payment:
    """The live attempt for `bill.payable`, or a new one, as an intent. The caller holds the payable's own lock.

    The attempt returned may not fit the bill any more: `open_jsapi` replaces it then.
    """
    statement = select(Payment).where(Payment.payable == bill.payable, Payment.state.in_(LIVE))
    live = (await session.execute(statement)).scalar_one_or_none()
    if live is not None:
        return live
    payment = Payment(
        out_trade_no=new_no("P"),
        payable=bill.payable,
        channel="jsapi",
        mchid=gateway.mchid,
        appid=gateway.appid,
        openid=bill.openid,
        currency="CNY",
        amount_fen=bill.amount_fen,
        description=bill.description,
        state=PaymentState.OPENING,
        expires_at=bill.expires_at,
        check_at=at + timedelta(seconds=5),
        created_at=at,
    )
    session.add(payment)
    await session.flush()
    return payment


def fits(payment: Payment, bill: Bill, at: datetime) -> bool:
    """May this live attempt still be used for this bill?"""
    fresh = payment.prepaid_at is None or at - payment.prepaid_at < _PREPAY_LIFE
    return fresh and (payment.amount_fen, payment.openid) == (bill.amount_fen, bill.openid)


async def open_jsapi(db: Database, gateway: Gateway, payee: Payee, clock: Clock, payment: Payment) -> PayParams | None:
    """Have the attempt at WeChat and sign what the client needs. `None`: this number is used up, begin another.

    Raises `WeChatPayUnknown` (503), `NotPayable` (409), `PaymentRefused` (503).
    """
    if payment.state == PaymentState.OPEN and payment.prepay_id is not None:
        return await gateway.pay_params(payment.prepay_id)
    assert payment.openid is not None
    try:
        prepay_id = await gateway.create_jsapi(
            out_trade_no=payment.out_trade_no,
            description=payment.description,
            amount_fen=payment.amount_fen,
            openid=payment.openid,
            expires_at=payment.expires_at,
        )
    except Unknown as error:
        raise asking.WeChatPayUnknown from error
    except Refused as error:
        await _refused(db, gateway, payee, clock, payment, error)
        return None
    if not await _opened(db, clock, payment.id, prepay_id):
        raise NotPayable
    return await gateway.pay_params(prepay_id)


async def _opened(db: Database, clock: Clock, payment_id: int, prepay_id: str) -> bool:
    """Keep the prepay_id. False when the attempt was closed or paid while we spoke to WeChat."""
    async with db.begin() as session:
        payment = await refunds.lock_payment(session, payment_id)
        if payment.state not in LIVE:
            # Closed by us while WeChat was creating it: it must be closed there as well.
            await jobs.enqueue(session, CLOSE_JOB, payment.out_trade_no)
            return False
        if payment.state == PaymentState.OPENING:
            payment.move(PaymentState.OPEN)
        payment.prepay_id = prepay_id
        payment.prepaid_at = clock.now()
        return True


async def _refused(
    db: Database, gateway: Gateway, payee: Payee, clock: Clock, payment: Payment, error: Refused
) -> None:
    """Find out what became of the number. Returns when another number may be tried."""
    log.error("payment refused", payment=payment.out_trade_no, answer=str(error))
    state = await asking.close(db, gateway, payee, clock, payment.out_trade_no)
    if state == PaymentState.RECEIVED:
        raise NotPayable
    if error.code not in _ANOTHER_NUMBER:
        raise PaymentRefused
