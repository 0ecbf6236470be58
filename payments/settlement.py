"""Money arrives: one transaction that locks the payment, compares, marks it received and tells the payee.

An order is paid exactly when one of its payments is *applied*; every other payment received has its exception written in
this same transaction, with the refund that answers it, or with the shop's wish that a person decides (`policy`). Every
payment received is booked in the ledger.

Locks: payment → (payee) order → SKU rows.
"""

from datetime import datetime, timedelta

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from kit import jobs
from payments import cases, ledger, policy, refunds, underway
from payments.ledger import Account
from payments.models import Payment, PaymentState, Refund
from payments.ports import Payee, Receipt
from payments.trades import Trade, instant

CLOSE_JOB = "payments.close"


async def settle(session: AsyncSession, payee: Payee, trade: Trade, at: datetime) -> str:
    """Take over a paid trade from a verified source; returns what came of it (`applied`, `known`, a case's kind).

    Whatever the answer, the trade is dealt with: repeating it changes nothing.
    """
    if not trade.paid or trade.amount is None or not trade.transaction_id:
        await cases.note(session, "incomplete_trade", trade.out_trade_no, at=at, facts={"state": trade.trade_state})
        return "incomplete_trade"
    payment, reused = await _find(session, trade)
    if payment is None:
        facts: dict[str, object] = {"out_trade_no": trade.out_trade_no, "amount_fen": trade.amount.total}
        await cases.note(session, "unknown_order", trade.transaction_id, at=at, facts=facts)
        return "unknown_order"
    misfit = _misfit(payment, trade, reused=reused)
    if misfit == "known" and payment.reversing_at is not None and payment.state == PaymentState.CLOSED:
        await jobs.enqueue(session, CLOSE_JOB, payment.out_trade_no, after=timedelta(minutes=1))
    if misfit is not None:
        if misfit != "known":
            facts = {"out_trade_no": trade.out_trade_no, "mchid": trade.mchid, "appid": trade.appid}
            facts |= {"sub_mchid": trade.sub_mchid} if trade.sub_mchid else {}
            await cases.note(session, misfit, trade.transaction_id, at=at, payment_id=payment.id, facts=facts)
        return misfit
    payment.move(PaymentState.RECEIVED)
    payment.transaction_id = trade.transaction_id
    payment.received_fen = trade.amount.total
    payment.received_at = instant(trade.success_time) or at
    return await _apply(session, payee, payment, trade, at)


async def _find(session: AsyncSession, trade: Trade) -> tuple[Payment | None, bool]:
    """The payment, locked, and whether another one was received under this transaction's id already."""
    other = aliased(Payment)
    reused = exists().where(other.transaction_id == trade.transaction_id, other.out_trade_no != trade.out_trade_no)
    statement = (
        select(Payment, reused)
        .where(Payment.out_trade_no == trade.out_trade_no)
        .with_for_update(key_share=True, of=Payment)
    )
    row = (await session.execute(statement)).one_or_none()
    return (None, False) if row is None else (row[0], bool(row[1]))


def _misfit(payment: Payment, trade: Trade, *, reused: bool) -> str | None:
    """Why this trade is not to be received for this payment: it is `known`, or contradicts what we know."""
    said = (trade.mchid, trade.sub_mchid or None, trade.appid or _app_of_part(payment))
    if said != (payment.mchid, payment.sub_mchid, payment.appid):
        return "wrong_account"
    if payment.reversing_at is not None:
        # Its reverse gives the money back, or did: `counter` waits for the end of it, and WeChat is asked how that was.
        return "known"
    if payment.state == PaymentState.RECEIVED:
        return "known" if payment.transaction_id == trade.transaction_id else "second_transaction"
    return "reused_transaction" if reused else None


def _app_of_part(payment: Payment) -> str | None:
    """Of a partner's combination WeChat need not say in which app a part was paid; whose money it is it always says."""
    return payment.appid if payment.combine_no and payment.sub_mchid else None


async def _apply(session: AsyncSession, payee: Payee, payment: Payment, trade: Trade, at: datetime) -> str:
    """Let the payee take the money, or send it back."""
    assert trade.amount is not None
    assert payment.transaction_id is not None
    if (trade.amount.total, trade.amount.currency or "CNY") != (payment.amount_fen, payment.currency):
        facts: dict[str, object] = {
            "asked_fen": payment.amount_fen,
            "paid_fen": trade.amount.total,
            "currency": trade.amount.currency,
        }
        return await _decline(session, payment, "amount_mismatch", facts, at)
    kind = await take(session, payee, payment, at)
    if kind is not None:
        return await _decline(session, payment, kind, {}, at)
    await book(session, payment, Account.SALES, at)
    said = trade.payer.openid if trade.payer and trade.appid else None  # an openid means nothing without its app
    if payment.openid and said and said != payment.openid:
        # The money is right, so it counts; a person looks at who paid.
        await cases.note(session, "other_payer", payment.transaction_id, at=at, payment_id=payment.id)
    return "applied"


async def take(session: AsyncSession, payee: Payee, payment: Payment, at: datetime) -> str | None:
    """Have a received payment applied to its payable, also to one that was closed before if the shop wants that.

    Returns why it was declined, or `None`: it is applied. The caller holds the payment's lock.
    """
    assert payment.transaction_id is not None
    assert payment.received_fen is not None
    assert payment.received_at is not None
    receipt = Receipt(
        payable=payment.payable,
        out_trade_no=payment.out_trade_no,
        transaction_id=payment.transaction_id,
        amount_fen=payment.received_fen,
        paid_at=payment.received_at,
    )
    declined = await payee.paid(session, receipt, at)
    if declined is not None and declined.kind == "paid_after_close":
        wish = await policy.current(session)
        if wish.late_payment == policy.LatePayment.REVIVE:
            declined = await payee.revived(session, receipt, at)
    if declined is not None:
        return declined.kind
    payment.applied = True
    await session.flush()
    await _close_others(session, payment)
    return None


async def book(session: AsyncSession, payment: Payment, credit: Account, at: datetime) -> None:
    """The receipt in the ledger: our money at WeChat grows, for a sale or for nothing yet."""
    assert payment.received_fen is not None
    await ledger.post(
        session,
        f"received:{payment.out_trade_no}",
        Account.ELSEWHERE if payment.external else Account.WECHAT,
        credit,
        payment.received_fen,
        payable=payment.payable,
        at=at,
        currency=payment.currency,
    )


async def _decline(session: AsyncSession, payment: Payment, kind: str, facts: dict[str, object], at: datetime) -> str:
    """Money without a home: it goes back at once, or waits for a person when the shop wants to decide wrong amounts."""
    assert payment.transaction_id is not None
    await book(session, payment, Account.UNAPPLIED, at)
    decided = kind == "amount_mismatch" and (await policy.current(session)).wrong_amount == policy.WrongAmount.DECIDE
    refund = None if decided else await send_back(session, payment, kind, by="system", at=at)
    await cases.note(
        session,
        kind,
        payment.transaction_id,
        at=at,
        payment_id=payment.id,
        refund_id=refund.id if refund else None,
        facts=facts,
    )
    return kind


async def send_back(session: AsyncSession, payment: Payment, kind: str, *, by: str, at: datetime) -> Refund:
    """Promise a payment that was not applied back to who paid it: all that did not go back by another way."""
    assert payment.received_fen is not None
    return await refunds.request(
        session,
        payment,
        payment.received_fen - payment.refunded_fen,
        cause=f"{kind}:{payment.transaction_id}",
        reason="订单已关闭，款项原路退回" if kind == "paid_after_close" else "款项原路退回",
        by=by,
        at=at,
    )


async def _close_others(session: AsyncSession, payment: Payment) -> None:
    """Another attempt for the same payable may still be open at WeChat: have it closed before somebody pays twice."""
    for other in await underway.attempts(session, [payment.payable]):
        await jobs.enqueue(session, CLOSE_JOB, other.out_trade_no)
