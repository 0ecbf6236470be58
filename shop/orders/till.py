"""The counter: an order is paid by the code on the payer's phone (see `payments.counter`)."""

from typing import Final

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit import audit
from kit.clock import Clock
from kit.database import Database
from kit.errors import Conflict, NotFound
from payments import asking, attempts, charges, counter, underway
from payments.charges import Bill, Channel
from payments.models import LIVE, Payment, PaymentState
from payments.ports import Payee
from payments.wechatpay.gateway import Gateway
from shop.orders import history, paying
from shop.orders.models import Order

_TRIES: Final = 3


class ChargeUnderWay(Conflict):
    """A charge at the counter is under way for this order; wait for it, or cancel it."""

    zh = "该订单正在收款中，请等待结果或先撤销"


class NoCharge(NotFound):
    """This order was not charged at the counter."""

    zh = "该订单没有付款码收款记录"


class Charge(msgspec.Struct, frozen=True):
    """The order, and the last attempt to charge it at the counter."""

    order: Order
    payment: Payment

    @property
    def state(self) -> str:
        """`userpaying`, `reversing`, `paid` or `closed`."""
        payment = self.payment
        if payment.state in LIVE:
            given_up = payment.reversing_at is not None or payment.expires_at < payment.created_at + counter.WAIT
            return "reversing" if given_up else "userpaying"
        return "paid" if payment.state == PaymentState.RECEIVED else "closed"


async def charge(
    db: Database, gateway: Gateway, payee: Payee, clock: Clock, no: str, auth_code: str, *, by: str, again: bool
) -> Charge:
    """Charge an unpaid order with the payer's code, and say how far that is. `again`: this wish may have been done before.

    A sheet that the buyer has open is closed first. Raises `OrderNotFound` (404), `OrderMoveRefused`, `TimeToPayOver`,
    `ChargeUnderWay`, `NotPayable` (409), `WeChatPayUnknown` (503).
    """
    for _ in range(_TRIES):
        now = clock.now()
        async with db.begin() as session:
            if again and (begun := await _last(session, no)) is not None:
                return begun  # the code may have been passed on: never a second time
            order = await paying.payable(session, no, None, now)
            live = await underway.attempts(session, [no])
            if not live:
                bill = Bill(
                    payable=no,
                    amount_fen=order.total_fen,
                    description=f"订单 {no}",
                    channel=Channel.CODE,
                    expires_at=now + counter.WAIT,
                )
                (payment,) = await charges.add(session, gateway, [bill], now)
                facts = {"payment": payment.out_trade_no, "amount_fen": payment.amount_fen}
                await audit.record(session, at=now, actor=by, action="order.charge", subject=("order", no), facts=facts)
        if not live:
            await counter.call(db, gateway, payee, clock, payment, auth_code)
            return await look(db, no)
        if live[0].channel == Channel.CODE:
            raise ChargeUnderWay
        if await asking.close(db, gateway, payee, clock, live[0].out_trade_no) == PaymentState.RECEIVED:
            raise charges.NotPayable
    raise asking.WeChatPayUnknown


async def look(db: Database, no: str) -> Charge:
    """The last charge at the counter. Raises `OrderNotFound`, `NoCharge` (404)."""
    async with db.begin() as session:
        found = await _last(session, no)
    if found is None:
        raise NoCharge
    return found


async def give_up(db: Database, clock: Clock, no: str, *, by: str) -> Charge:
    """Wait no longer: the worker reverses it as soon as WeChat allows, unless it turns out to be paid.

    Raises `OrderNotFound`, `NoCharge` (404).
    """
    now = clock.now()
    async with db.begin() as session:
        known = await _last(session, no)
        if known is None:
            raise NoCharge
        payment = await attempts.lock(session, known.payment.out_trade_no)
        assert payment is not None
        if payment.state in LIVE:
            counter.give_up(payment, now)
            facts = {"payment": payment.out_trade_no}
            await audit.record(
                session, at=now, actor=by, action="order.charge_cancel", subject=("order", no), facts=facts
            )
        return Charge(known.order, payment)


async def _last(session: AsyncSession, no: str) -> Charge | None:
    order = (await session.execute(select(Order).where(Order.no == no))).scalar_one_or_none()
    if order is None:
        raise history.OrderNotFound
    statement = select(Payment).where(Payment.payable == no, Payment.channel == Channel.CODE)
    payment = (await session.execute(statement.order_by(Payment.id.desc()).limit(1))).scalar_one_or_none()
    return None if payment is None else Charge(order, payment)
