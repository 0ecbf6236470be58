"""What WeChat says of a refund, from an answer, a notification, a question of ours or a bill. Never backwards."""

from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from payments import cases
from payments.models import UNDONE, Payment, PaymentException, Refund, RefundState
from payments.ports import Payee, RefundFound, RefundNews
from payments.refunds import booking, portal, promising
from payments.refunds.locking import lock
from payments.trades import RefundTrade, instant

FIRST_QUESTION = timedelta(seconds=20)
_NEW_NUMBERS = 5
"""So often WeChat may close a refund of money that is not ours, and it is begun again by itself."""
_STATES = {
    "PROCESSING": RefundState.PROCESSING,
    "SUCCESS": RefundState.SUCCEEDED,
    "ABNORMAL": RefundState.ABNORMAL,
    "CLOSED": RefundState.CLOSED,
}
_ENDED = frozenset({RefundState.SUCCEEDED, *UNDONE})
_REVIVED = frozenset({RefundState.REFUSED, RefundState.REJECTED})
"""Ended by us; what WeChat itself closed is dead."""
_UNAPPROVED = "refund_unapproved"
_ACCOUNT_LENGTH = 64


async def learn(session: AsyncSession, payee: Payee, trade: RefundTrade, at: datetime) -> str:
    """Take over a refund's state from a verified source; returns what came of it.

    A refund that we did not ask for, of a payment of ours, was made in the merchant portal: it is written down as such.
    """
    target = _STATES.get(trade.state)
    found = await lock(session, trade.out_refund_no)
    if found is None:
        found = await portal.record(session, payee, trade, at) if target else None
        if found is None:
            return await portal.note(session, trade, at)
    payment, refund = found
    if target is None or not _fits(trade, payment, refund):
        await _note_mismatch(session, payment, trade, at)
        return "refund_mismatch"
    _take_facts(refund, trade)
    if refund.state == RefundState.WAITING:  # somebody's yes was lost with a database, and WeChat has the refund
        refund.move(RefundState.REQUESTED)
        await cases.note(session, _UNAPPROVED, refund.out_refund_no, at=at, payment_id=payment.id)
    overtaken = target is RefundState.PROCESSING and refund.state == RefundState.SUCCEEDED
    if target == refund.state or overtaken:  # the notification may be faster than the answer to the request itself
        return "known"
    if RefundState(refund.state) in _ENDED and not await _revive(session, payee, payment, refund, target, at):
        facts = {"state": trade.state}
        await cases.note(session, portal.AFTER_END, refund.out_refund_no, at=at, payment_id=payment.id, facts=facts)
        return portal.AFTER_END
    await end(session, payee, payment, refund, target, instant(trade.success_time) or at)
    return target.value


def _fits(trade: RefundTrade, payment: Payment, refund: Refund) -> bool:
    """Nothing that is said contradicts what we asked."""
    said = (
        trade.mchid, trade.sub_mchid, trade.out_trade_no, trade.transaction_id, trade.amount and trade.amount.refund
    )  # fmt: skip
    ours = (payment.mchid, payment.sub_mchid, payment.out_trade_no, payment.transaction_id, refund.amount_fen)
    return all(theirs in (None, "", mine) for theirs, mine in zip(said, ours, strict=True))


async def _note_mismatch(session: AsyncSession, payment: Payment, trade: RefundTrade, at: datetime) -> None:
    facts = {
        "state": trade.state,
        "amount_fen": trade.amount.refund if trade.amount else None,
        "mchid": trade.mchid,
        "transaction_id": trade.transaction_id,
    }
    await cases.note(session, "refund_mismatch", trade.out_refund_no, at=at, payment_id=payment.id, facts=facts)


def _take_facts(refund: Refund, trade: RefundTrade) -> None:
    """Keep WeChat's own words; a notification has fewer of them than an answer, so what is known stays."""
    refund.refund_id = trade.refund_id or refund.refund_id
    if trade.user_received_account:
        refund.user_received_account = trade.user_received_account.replace("\x00", "")[:_ACCOUNT_LENGTH]
    for name in ("payer_refund", "discount_refund", "settlement_refund"):
        share = getattr(trade.amount, name, None)
        if share is not None:
            setattr(refund, f"{name}_fen", share)


async def _revive(
    session: AsyncSession, payee: Payee, payment: Payment, refund: Refund, target: RefundState, at: datetime
) -> bool:
    """We took a no for the last word, and WeChat has the refund after all: claim its money again, if it is still there.

    The payee of an applied payment was told of the end and has freed what it had claimed. To it this is money that went
    back without its asking, as by hand in the portal; the refund is kept under the cause that it names.
    """
    left_fen = (payment.received_fen or 0) - payment.refunded_fen
    if refund.state not in _REVIVED or target is RefundState.CLOSED or refund.amount_fen > left_fen:
        return False
    if refund.state == RefundState.REJECTED:
        await cases.note(session, _UNAPPROVED, refund.out_refund_no, at=at, payment_id=payment.id)
    if payment.applied:
        found = RefundFound(payable=payment.payable, out_refund_no=refund.out_refund_no, amount_fen=refund.amount_fen)
        refund.cause = await payee.refund_found(session, found, at) or refund.cause
    refund.move(RefundState.REQUESTED)
    await promising.claim(session, payment, refund, at)
    await cases.over(session, portal.AFTER_END, refund.out_refund_no, "recorded", at)
    return True


async def end(
    session: AsyncSession,
    payee: Payee,
    payment: Payment,
    refund: Refund,
    target: RefundState,
    at: datetime,
    *,
    code: str = "",
) -> None:
    """Move the refund on; tell the payee when it ended, and open a case when the money did not get back."""
    if target is RefundState.PROCESSING:
        refund.move(target)
        refund.attempts, refund.check_at = 0, at + FIRST_QUESTION
        return
    if target is RefundState.ABNORMAL:
        refund.move(target)
        refund.attempts, refund.check_at = 0, at + timedelta(hours=1)
        await cases.note(
            session,
            "refund_abnormal",
            refund.out_refund_no,
            at=at,
            payment_id=payment.id,
            refund_id=refund.id,
            again=True,
        )
        return
    await tell(
        session, payee, refund, target, by="wechat", at=at
    )  # locks the order, before the refund's row is written
    refund.move(target)
    if target is RefundState.SUCCEEDED:
        refund.succeeded_at = at
        await session.flush()
        await booking.done(session, payment, refund, at)
        await cases.answered(session, refund.out_refund_no, refund.id, "refunded", at)
        return
    await promising.free(session, payment, refund, at)
    await _failed(session, payment, refund, target, at, code=code)


async def tell(
    session: AsyncSession, payee: Payee, refund: Refund, outcome: RefundState, *, by: str, at: datetime
) -> None:
    """The payee hears how it ended."""
    news = RefundNews(
        payable=refund.payable,
        cause=refund.cause,
        out_refund_no=refund.out_refund_no,
        amount_fen=refund.amount_fen,
        succeeded=outcome is RefundState.SUCCEEDED,
        at=at,
        outcome=outcome.value,
        by=by,
    )
    await payee.refunded(session, news)


async def _failed(
    session: AsyncSession, payment: Payment, refund: Refund, target: RefundState, at: datetime, *, code: str
) -> None:
    """Money that must not stay begins again under a new number; everything else is a person's to decide."""
    again = None
    if target is RefundState.CLOSED and not payment.applied and promising.turn_of(refund)[1] < _NEW_NUMBERS:
        again = await promising.begin_again(session, payment, refund, by="system", at=at)
        cases_of_it = update(PaymentException).where(PaymentException.refund_id == refund.id)
        await session.execute(cases_of_it.values(refund_id=again.id))
    await cases.note(
        session,
        f"refund_{target}",
        refund.out_refund_no,
        at=at,
        payment_id=payment.id,
        refund_id=again.id if again else refund.id,
        facts={"code": code} if code else None,
        again=True,
    )
    await portal.look_again(session, payment)
