"""Money back: promised in the caller's transaction, carried out by a job, ended by what WeChat says.

Locks: payment, then (by the payee) the order, then the refund: whoever changes a refund's state holds its payment, so
the refund's own row is read under that lock and written last.
"""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kit import jobs
from kit.clock import Clock
from kit.database import Database
from kit.errors import Unprocessable
from kit.numbers import new_no
from payments import cases
from payments.models import Payment, PaymentException, PaymentState, Refund, RefundState
from payments.ports import Payee, RefundNews
from payments.trades import RefundTrade, instant
from payments.wechatpay.gateway import Gateway, Refused, Unknown

log = structlog.get_logger()

JOB = "payments.refund"
_CHECKS = (timedelta(seconds=20), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=6))
_LATER = frozenset({"NOTENOUGH", "FREQUENCYLIMITED", "RATELIMITEXCEEDED", "SIGNERROR", "SYSTEMERROR"})
"""Refusals that pass: the same number is tried again later."""
_PERHAPS = "INVALIDREQUEST"
"""May pass as well (parts of a refund need a minute between them), so it is believed only when it stays."""
_PERHAPS_TRIES = 7  # a good two minutes with the job's growing gaps
_NEW_NUMBERS = 5
"""So often WeChat may close a refund of money that is not ours, and it is begun again by itself."""
_STATES = {
    "PROCESSING": RefundState.PROCESSING,
    "SUCCESS": RefundState.SUCCEEDED,
    "ABNORMAL": RefundState.ABNORMAL,
    "CLOSED": RefundState.CLOSED,
}
_ENDED = frozenset({RefundState.SUCCEEDED, RefundState.CLOSED, RefundState.REFUSED})


class RefundTooMuch(Unprocessable):
    """Only {left_fen} fen of this payment can still be refunded."""

    zh = "超出可退金额，最多可退 {left_fen} 分"


async def request(
    session: AsyncSession, payment: Payment, amount_fen: int, *, cause: str, reason: str, by: str, at: datetime
) -> Refund:
    """Promise `amount_fen` back for `cause`, once: asked again for the same cause, the same refund is returned.

    The caller holds the payment's lock (`lock_payment`). Raises `RefundTooMuch` (422); the database refuses it too.
    """
    if payment.state != PaymentState.RECEIVED or payment.received_fen is None:
        raise RefundTooMuch(left_fen=0)
    statement = (
        insert(Refund)
        .values(
            out_refund_no=new_no("R"),
            payment_id=payment.id,
            payable=payment.payable,
            cause=cause,
            amount_fen=amount_fen,
            reason=reason,
            state=RefundState.REQUESTED,
            check_at=at + timedelta(minutes=1),
            requested_by=by,
            requested_at=at,
        )
        .on_conflict_do_nothing(index_elements=[Refund.cause])
        .returning(Refund)
    )
    refund = (await session.execute(statement)).scalar_one_or_none()
    if refund is None:
        return (await session.execute(select(Refund).where(Refund.cause == cause))).scalar_one()
    left = payment.received_fen - payment.refunded_fen
    if amount_fen > left:
        raise RefundTooMuch(left_fen=left)
    payment.refunded_fen += amount_fen
    await session.flush()
    if not payment.external:
        await jobs.enqueue(session, JOB, refund.out_refund_no)
    return refund


async def lock_payment(session: AsyncSession, payment_id: int) -> Payment:
    """The payment, locked: first of all locks."""
    statement = select(Payment).where(Payment.id == payment_id).with_for_update(key_share=True)
    return (await session.execute(statement.execution_options(populate_existing=True))).scalar_one()


async def find_applied(session: AsyncSession, payable: str) -> Payment | None:
    """The payment that paid `payable`, locked."""
    statement = select(Payment).where(Payment.payable == payable, Payment.applied).with_for_update(key_share=True)
    return (await session.execute(statement)).scalar_one_or_none()


async def submit(db: Database, gateway: Gateway, payee: Payee, clock: Clock, out_refund_no: str) -> None:
    """The job: bring one promised refund to WeChat. Raises when the outcome is unknown, to be tried again.

    After a first try the refund is queried before it is sent again: it may have been accepted in silence.
    """
    async with db.begin() as session:
        found = await _lock(session, out_refund_no)
        if found is None or found[1].state != RefundState.REQUESTED:
            return
        payment, refund = found
        tried_before = refund.attempts > 0
        refund.attempts += 1
        refund.check_at = clock.now() + timedelta(minutes=10)
    try:
        trade = await gateway.query_refund(out_refund_no) if tried_before else None
        trade = trade or await gateway.refund(
            out_refund_no=out_refund_no,
            out_trade_no=payment.out_trade_no,
            amount_fen=refund.amount_fen,
            total_fen=payment.received_fen or payment.amount_fen,
            reason=refund.reason,
        )
    except Refused as error:
        passing = error.code in _LATER or error.status == 401  # ours to mend: keys, serial, clock
        if passing or (error.code == _PERHAPS and refund.attempts < _PERHAPS_TRIES):
            await _remember(db, out_refund_no, str(error))
            raise
        await _refused(db, payee, clock, out_refund_no, error)
    except Unknown as error:
        await _remember(db, out_refund_no, str(error))
        raise
    else:
        async with db.begin() as session:
            await learn(session, payee, trade, clock.now())


async def ask(db: Database, gateway: Gateway, payee: Payee, clock: Clock, out_refund_no: str) -> None:
    """Query one refund and take over what WeChat says of it. Unknown answers change nothing."""
    try:
        trade = await gateway.query_refund(out_refund_no)
    except (Refused, Unknown) as error:
        log.warning("refund query", refund=out_refund_no, answer=str(error))
        return
    if trade is not None:
        async with db.begin() as session:
            await learn(session, payee, trade, clock.now())


async def learn(session: AsyncSession, payee: Payee, trade: RefundTrade, at: datetime) -> str:
    """Take over a refund's state from a verified source. Never backwards; returns what came of it."""
    found = await _lock(session, trade.out_refund_no)
    if found is None:
        await cases.note(session, "unknown_refund", trade.out_refund_no, at=at, facts={"state": trade.state})
        return "unknown_refund"
    payment, refund = found
    target = _STATES.get(trade.state)
    if target is None or not _fits(trade, payment, refund):
        facts = {
            "state": trade.state,
            "amount_fen": trade.amount.refund if trade.amount else None,
            "mchid": trade.mchid,
            "transaction_id": trade.transaction_id,
        }
        await cases.note(session, "refund_mismatch", refund.out_refund_no, at=at, payment_id=payment.id, facts=facts)
        return "refund_mismatch"
    refund.refund_id = trade.refund_id or refund.refund_id
    overtaken = target is RefundState.PROCESSING and refund.state == RefundState.SUCCEEDED
    if target == refund.state or overtaken:  # the notification may be faster than the answer to the request itself
        return "known"
    if RefundState(refund.state) in _ENDED:
        await cases.note(session, "refund_after_end", refund.out_refund_no, at=at, facts={"state": trade.state})
        return "refund_after_end"
    await _end(session, payee, payment, refund, target, instant(trade.success_time) or at)
    return target.value


def _fits(trade: RefundTrade, payment: Payment, refund: Refund) -> bool:
    """Nothing that is said contradicts what we asked."""
    said = (trade.mchid, trade.out_trade_no, trade.transaction_id, trade.amount and trade.amount.refund)
    ours = (payment.mchid, payment.out_trade_no, payment.transaction_id, refund.amount_fen)
    return all(theirs in (None, "", mine) for theirs, mine in zip(said, ours, strict=True))


async def _end(
    session: AsyncSession, payee: Payee, payment: Payment, refund: Refund, target: RefundState, at: datetime
) -> None:
    """Move the refund on; tell the payee when it ended, and open a case when the money did not get back."""
    if target is RefundState.PROCESSING:
        refund.move(target)
        refund.attempts, refund.check_at = 0, at + _CHECKS[0]
        return
    if target is RefundState.ABNORMAL:
        refund.move(target)
        await cases.note(session, "refund_abnormal", refund.out_refund_no, at=at, payment_id=payment.id)
        return
    await payee.refunded(  # locks the order, so it comes before the refund's row is written
        session,
        RefundNews(
            payable=refund.payable,
            cause=refund.cause,
            out_refund_no=refund.out_refund_no,
            amount_fen=refund.amount_fen,
            succeeded=target is RefundState.SUCCEEDED,
            at=at,
        ),
    )
    refund.move(target)
    if target is RefundState.SUCCEEDED:
        refund.succeeded_at = at
        return
    payment.refunded_fen -= refund.amount_fen
    await session.flush()
    await cases.note(session, f"refund_{target}", refund.out_refund_no, at=at, payment_id=payment.id)
    if target is RefundState.CLOSED and not payment.applied:
        await _begin_again(session, payment, refund, at)


async def _begin_again(session: AsyncSession, payment: Payment, closed: Refund, at: datetime) -> None:
    """Money that must not stay, and WeChat closed its refund: a closed number is dead, so a new one carries it back."""
    cause, _, turn = closed.cause.partition("#")
    if int(turn or 0) >= _NEW_NUMBERS:
        return
    again = await request(
        session,
        payment,
        closed.amount_fen,
        cause=f"{cause}#{int(turn or 0) + 1}",
        reason=closed.reason,
        by="system",
        at=at,
    )
    cases_of_it = update(PaymentException).where(PaymentException.refund_id == closed.id)
    await session.execute(cases_of_it.values(refund_id=again.id))


async def _lock(session: AsyncSession, out_refund_no: str) -> tuple[Payment, Refund] | None:
    """The refund under its payment's lock (see above)."""
    payment_id = await session.scalar(select(Refund.payment_id).where(Refund.out_refund_no == out_refund_no))
    if payment_id is None:
        return None
    payment = await lock_payment(session, payment_id)
    statement = select(Refund).where(Refund.out_refund_no == out_refund_no)
    return payment, (await session.execute(statement)).scalar_one()


async def _refused(db: Database, payee: Payee, clock: Clock, out_refund_no: str, error: Refused) -> None:
    """It ends here and a person decides."""
    async with db.begin() as session:
        found = await _lock(session, out_refund_no)
        if found is not None and found[1].state == RefundState.REQUESTED:
            found[1].last_error = str(error)
            await _end(session, payee, *found, RefundState.REFUSED, clock.now())


async def _remember(db: Database, out_refund_no: str, error: str) -> None:
    async with db.begin() as session:
        found = await _lock(session, out_refund_no)
        if found is not None:
            found[1].last_error = error


async def sweep(session: AsyncSession, now: datetime, limit: int = 50) -> list[tuple[str, str]]:
    """Refunds that have been silent too long, as (out_refund_no, state), each put off to its next turn.

    Those still `requested` are enqueued again here (a parked job, a lost worker); the others are for `ask`.
    """
    statement = (
        select(Refund)
        .where(Refund.state.in_([RefundState.REQUESTED, RefundState.PROCESSING]), Refund.check_at <= now)
        .order_by(Refund.check_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    due = list((await session.execute(statement)).scalars())
    for refund in due:
        if refund.state == RefundState.REQUESTED:
            refund.check_at = now + timedelta(minutes=10)
            await jobs.enqueue(session, JOB, refund.out_refund_no)
        else:
            refund.attempts += 1
            refund.check_at = now + _CHECKS[min(refund.attempts, len(_CHECKS) - 1)]
    return [(refund.out_refund_no, refund.state) for refund in due]
