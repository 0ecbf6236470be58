"""What a person may do about money that did not fit.

A case is settled by itself when a refund answers it. Otherwise it says what can be done (`actions`), and each of these is
a verb here or a route of its own: send the money back, apply it after all, ask WeChat again, or write down what was
decided.

Locks: payment → (payee) order → the case.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.clock import Clock
from kit.database import Database
from kit.errors import Conflict, NotFound
from payments import ledger, refund_repair, refunds, settlement
from payments.ledger import Account
from payments.models import LIVE, Payment, PaymentException, PaymentState, Refund, RefundState
from payments.ports import Payee
from payments.wechatpay.gateway import Gateway


class ExceptionNotFound(NotFound):
    """There is no such payment exception."""

    zh = "未找到该异常"


class AlreadyResolved(Conflict):
    """This exception has been resolved already."""

    zh = "该异常已处理"


class NothingHeld(Conflict):
    """No money of this exception is held: it was applied, or it is on its way back."""

    zh = "该异常没有滞留款项：款项已入账或正在退回"


class RefundBegun(Conflict):
    """Refund {out_refund_no} was begun for this exception; retry that one."""

    zh = "该异常已发起过退款 {out_refund_no}，请对其重试"


class NotApplicable(Conflict):
    """The money does not fit: {why}. Reprice the order to {received_fen} fen first, or send the money back."""

    zh = "款项与订单不符（{why}），请先将订单改价为 {received_fen} 分，或退回款项"


def held(payment: Payment | None) -> bool:
    """Is money of this payment here that paid for nothing and is not on its way back?"""
    return (
        payment is not None
        and payment.state == PaymentState.RECEIVED
        and not payment.applied
        and not payment.external
        and payment.refunded_fen < (payment.received_fen or 0)
    )


def actions(case: PaymentException, payment: Payment | None, refund: Refund | None) -> list[str]:
    """What staff may do about it, as names of the routes."""
    if case.resolved_at is not None:
        return []
    found = ["resolve"]
    if payment is not None and held(payment):
        found += [] if refund else ["sendBack"]
        found += [] if payment.refunded_fen else ["apply"]  # what is left of it fits nothing
    if payment is not None and payment.state in (*LIVE, PaymentState.CLOSED):
        found.append("ask")
    if refund is not None and refund.state == RefundState.ABNORMAL:
        found.append("applyAbnormal")
    undone = (RefundState.REFUSED, RefundState.CLOSED)
    if refund is not None and refund.state in undone:  # an order's claim is free again: it is asked anew
        found.append("refundAgain" if payment is not None and payment.applied else "retryRefund")
    return found


async def lock(session: AsyncSession, case_id: int) -> tuple[PaymentException, Payment | None]:
    """An open case under its payment's lock. Raises `ExceptionNotFound` (404), `AlreadyResolved` (409)."""
    known = select(PaymentException.payment_id).where(PaymentException.id == case_id)
    row = (await session.execute(known)).one_or_none()
    if row is None:
        raise ExceptionNotFound
    payment = None if row[0] is None else await refunds.lock_payment(session, row[0])
    case = await session.get_one(PaymentException, case_id, with_for_update=True)
    if case.resolved_at is not None:
        raise AlreadyResolved
    return case, payment


def resolve(case: PaymentException, resolution: str, *, by: str, at: datetime) -> None:
    """Write down that it is dealt with, and how."""
    case.resolved_at, case.resolved_by, case.resolution = at, by, resolution


async def send_back(
    session: AsyncSession, case: PaymentException, payment: Payment | None, *, by: str, at: datetime
) -> Refund:
    """Promise the money of this case back to who paid it; the case then answers itself.

    Raises `NothingHeld`, `RefundBegun` (409).
    """
    if payment is None or not held(payment):
        raise NothingHeld
    if case.refund_id is not None:
        begun = await session.get_one(Refund, case.refund_id)
        raise RefundBegun(out_refund_no=begun.out_refund_no)
    refund = await settlement.send_back(session, payment, case.kind, by=by, at=at)
    while refund.state in (RefundState.REJECTED, RefundState.CLOSED):  # of an earlier wish: this is the next one
        refund = await refunds.begin_again(session, payment, refund, by=by, at=at)
    if refund.state == RefundState.REFUSED:  # WeChat may have it all the same, so it keeps its number
        raise RefundBegun(out_refund_no=refund.out_refund_no)
    case.refund_id = refund.id
    resolve(case, "sent_back", by=by, at=at)
    return refund


async def not_at_wechat(db: Database, gateway: Gateway, payee: Payee, clock: Clock, case_id: int) -> set[str]:
    """Refused refunds of this case's payment that WeChat, asked now, has none of or has closed: the money is here.

    What it has after all is taken over. Raises `WeChatPayUnknown` (503).
    """
    async with db.begin() as session:
        open_case = (PaymentException.id == case_id) & PaymentException.resolved_at.is_(None)
        payment_id = await session.scalar(select(PaymentException.payment_id).where(open_case))
        numbers = [] if payment_id is None else await _refused(session, payment_id)
    gone = set()
    for number in numbers:
        trade = await refund_repair.query(gateway, number)
        if trade is None or trade.state == "CLOSED":
            gone.add(number)
            continue
        async with db.begin() as session:
            await refunds.learn(session, payee, trade, clock.now())
    return gone


async def _refused(session: AsyncSession, payment_id: int) -> list[str]:
    """WeChat may have these all the same, as `send_back` knows."""
    refused = select(Refund.out_refund_no).where(Refund.payment_id == payment_id, Refund.state == RefundState.REFUSED)
    return list(await session.scalars(refused.order_by(Refund.id)))


async def apply(
    session: AsyncSession,
    payee: Payee,
    case: PaymentException,
    payment: Payment | None,
    gone: Collection[str],
    *,
    by: str,
    at: datetime,
) -> None:
    """Apply money that was held to what it was for, now that it fits. `gone`: see `not_at_wechat`.

    Raises `NothingHeld`, `RefundBegun`, `NotApplicable` (409).
    """
    if payment is None or not held(payment) or payment.refunded_fen:
        raise NothingHeld
    for number in await _refused(session, payment.id):
        if number not in gone:
            raise RefundBegun(out_refund_no=number)
    assert payment.received_fen is not None
    if await _in_another_currency(session, payment):
        raise NotApplicable(why="currency", received_fen=payment.received_fen)
    if await _paid_already(session, payment):
        raise NotApplicable(why="second_payment", received_fen=payment.received_fen)
    why = await settlement.take(session, payee, payment, at)
    if why is not None:
        raise NotApplicable(why=why, received_fen=payment.received_fen)
    await ledger.post(
        session,
        f"applied:{payment.out_trade_no}",
        Account.UNAPPLIED,
        Account.SALES,
        payment.received_fen,
        payable=payment.payable,
        at=at,
        currency=payment.currency,
    )
    resolve(case, "applied", by=by, at=at)


async def _in_another_currency(session: AsyncSession, payment: Payment) -> bool:
    """Only the case of its arrival knows, resolved or not; the case at hand may be of a refund that was refused."""
    said = func.coalesce(PaymentException.facts["currency"].astext, "CNY")
    statement = select(PaymentException.id).where(
        PaymentException.payment_id == payment.id,
        PaymentException.kind == "amount_mismatch",
        said != payment.currency,
    )
    return await session.scalar(statement) is not None


async def _paid_already(session: AsyncSession, payment: Payment) -> bool:
    statement = select(Payment.id).where(Payment.payable == payment.payable, Payment.applied)
    return await session.scalar(statement) is not None
