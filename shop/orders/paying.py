"""Paying for an order: the attempt is opened and looked at here; what the money does is told to `payee`."""

from typing import Final

from sqlalchemy import select

from kit.clock import Clock
from kit.database import Database
from kit.errors import Conflict
from payments import asking, charges
from payments.charges import Bill
from payments.models import LIVE, Payment, PaymentState
from payments.ports import Payee
from payments.wechatpay.gateway import Gateway, PayParams
from shop.members.sessions import SignedIn
from shop.orders import history
from shop.orders.models import Order, OrderMoveRefused, OrderState

_TRIES: Final = 3
"""Attempts in one call: a number that is used up is closed and another one opened."""


class TimeToPayOver(Conflict):
    """The time to pay for this order is over."""

    zh = "订单已超过支付时限"


async def prepay(db: Database, gateway: Gateway, payee: Payee, clock: Clock, member: SignedIn, no: str) -> PayParams:
    """What the Mini Program needs to show the payment sheet (WeChat Pay v3, JSAPI).

    Raises `OrderNotFound` (404), `OrderMoveRefused`, `TimeToPayOver`, `NotPayable` (409), `WeChatPayUnknown` (503).
    """
    for _ in range(_TRIES):
        now = clock.now()
        async with db.begin() as session:
            order = await history.lock(session, no, member_id=member.member_id)
            if order.state != OrderState.UNPAID:
                raise OrderMoveRefused(state=order.state)
            if order.pay_by <= now:
                raise TimeToPayOver
            bill = _bill(order, member)
            payment = await charges.begin(session, gateway, bill, now)
        if not charges.fits(payment, bill, now):
            if await asking.close(db, gateway, payee, clock, payment.out_trade_no) == PaymentState.RECEIVED:
                raise charges.NotPayable
            continue
        params = await charges.open_jsapi(db, gateway, payee, clock, payment)
        if params is not None:
            return params
    raise charges.PaymentRefused


def _bill(order: Order, member: SignedIn) -> Bill:
    return Bill(
        payable=order.no,
        amount_fen=order.total_fen,
        description=f"订单 {order.no}",
        openid=member.openid,
        expires_at=order.pay_by,
    )


async def refresh(db: Database, gateway: Gateway, payee: Payee, clock: Clock, no: str, *, member_id: int) -> None:
    """Ask WeChat now whether the order was paid, as a client does after `wx.requestPayment` said ok.

    Raises `OrderNotFound` (404), `WeChatPayUnknown` (503).
    """
    async with db.begin() as session:
        order = await history.lock(session, no, member_id=member_id)
        statement = select(Payment.out_trade_no).where(Payment.payable == order.no, Payment.state.in_(LIVE))
        live = await session.scalar(statement)
    if live is not None:
        await asking.ask(db, gateway, payee, clock, live)
