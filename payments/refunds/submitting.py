"""The job: bring one promised refund to WeChat. The intent is committed first; an unknown outcome is asked for."""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.clock import Clock
from kit.database import Database
from payments import cases
from payments.models import Payment, Refund, RefundState, RefundWait
from payments.payouts import gate
from payments.ports import Payee
from payments.refunds import learning, rules
from payments.refunds.locking import lock
from payments.trades import RefundTrade
from payments.wechatpay.gateway import Gateway, Refused, Unknown, asked

_SHARES_LOOK = timedelta(minutes=5)
"""Shares that come back wake their refund by themselves; it looks again after so long all the same."""
_SILENCE = timedelta(minutes=10)
"""After this long without an outcome the sweep promises the job again."""
_LATER = frozenset({"FREQUENCYLIMITED", "RATELIMITEXCEEDED", "SIGNERROR", "SYSTEMERROR"})
"""Refusals that pass: the same number is tried again, asked for first."""
_NOT_ENOUGH = "NOTENOUGH"
_PERHAPS = "INVALIDREQUEST"
"""May pass as well (parts of a refund need a minute between them), so it is believed only when it stays."""
_PERHAPS_TRIES = 7  # a good two minutes with the job's growing gaps
_NOT_ENOUGH_GAPS = tuple(timedelta(seconds=s) for s in (10, 30, 60, 300, 600, 1800, 3600))
_NOT_ENOUGH_ALARM = timedelta(hours=1)


async def submit(db: Database, gateway: Gateway, payee: Payee, clock: Clock, out_refund_no: str) -> None:
    """Bring the refund to WeChat, or see that it must wait. Raises when the outcome is unknown, to be tried again.

    After a first try the refund is queried before it is sent again: it may have been accepted in silence. Only what the
    sending itself is told may end it.
    """
    async with db.begin() as session:
        found = await _set_out(session, out_refund_no, clock.now())
    if found is None:
        return
    payment, refund = found
    try:
        trade = await asked(gateway.query_refund(out_refund_no)) if refund.attempts > 1 else None
        trade = trade or await _send(gateway, payment, refund)
    except Refused as error:
        await _refused(db, payee, clock, refund, error)
    except Unknown as error:
        await _remember(db, out_refund_no, str(error))
        raise
    else:
        async with db.begin() as session:
            await learning.learn(session, payee, trade, clock.now())


async def _set_out(session: AsyncSession, out_refund_no: str, now: datetime) -> tuple[Payment, Refund] | None:
    """Write down that it is being sent now. `None`: it is not to be sent, or not yet."""
    found = await lock(session, out_refund_no)
    if found is None or found[1].state != RefundState.REQUESTED:
        return None
    payment, refund = found
    free_at = await _gap_ends(session, payment, refund)
    if free_at is not None and free_at > now:
        wait(refund, RefundWait.GAP, until=free_at, now=now)
        return None
    if not await gate.ready(session, payment, now):
        wait(refund, RefundWait.SHARES, until=now + _SHARES_LOOK, now=now)
        return None
    if refund.waiting_for != RefundWait.NOT_ENOUGH:  # that one lasts until WeChat takes the refund
        refund.waiting_for = refund.waiting_since = None
    refund.attempts += 1
    refund.sent_at = now
    refund.check_at = now + _SILENCE
    return payment, refund


async def _gap_ends(session: AsyncSession, payment: Payment, refund: Refund) -> datetime | None:
    """WeChat takes the parts of one payment a minute apart: when is it this one's turn?"""
    statement = select(func.max(Refund.sent_at)).where(Refund.payment_id == payment.id, Refund.id != refund.id)
    last = await session.scalar(statement)
    return None if last is None else last + rules.GAP


def wait(refund: Refund, what: RefundWait, *, until: datetime, now: datetime) -> None:
    """It stays promised; the sweep sets it going again. Who waits for money goes on doing so through a gap."""
    if refund.waiting_for != what and (refund.waiting_for, what) != (RefundWait.NOT_ENOUGH, RefundWait.GAP):
        refund.waiting_for, refund.waiting_since = what, now
    refund.check_at = until


async def _send(gateway: Gateway, payment: Payment, refund: Refund) -> RefundTrade:
    return await gateway.refund(
        out_refund_no=refund.out_refund_no,
        out_trade_no=payment.out_trade_no,
        amount_fen=refund.amount_fen,
        total_fen=payment.received_fen or payment.amount_fen,
        reason=refund.reason,
        transaction_id=payment.transaction_id if payment.combine_no else None,
    )


async def _refused(db: Database, payee: Payee, clock: Clock, refund: Refund, error: Refused) -> None:
    """WeChat says no: for now (raises, to be tried again), until there is money, or for good."""
    if error.code == _NOT_ENOUGH:
        await _wait_for_money(db, clock, refund.out_refund_no, error)
        return
    ours_to_mend = error.status == 401  # keys, serial, clock
    passing = error.code in _LATER or ours_to_mend or error.is_wordless
    if passing or (error.code == _PERHAPS and _in_a_row(refund, error) < _PERHAPS_TRIES):
        await _remember(db, refund.out_refund_no, str(error), in_a_row=_in_a_row(refund, error))
        raise error
    async with db.begin() as session:
        found = await lock(session, refund.out_refund_no)
        if found is not None and found[1].state == RefundState.REQUESTED:
            found[1].last_error = str(error)
            await learning.end(session, payee, *found, RefundState.REFUSED, clock.now(), code=error.code)


def _in_a_row(refund: Refund, error: Refused) -> int:
    """How often WeChat has refused with just this code by now: tries that failed otherwise before say nothing of it."""
    same = refund.last_error is not None and refund.last_error.startswith(f"{error.status} {error.code}:")
    return refund.attempts if same else 1


async def _wait_for_money(db: Database, clock: Clock, out_refund_no: str, error: Refused) -> None:
    """The merchant's balance is too small: the same number again, more and more seldom; an alarm after an hour."""
    now = clock.now()
    async with db.begin() as session:
        found = await lock(session, out_refund_no)
        if found is None or found[1].state != RefundState.REQUESTED:
            return
        payment, refund = found
        refund.attempts, refund.last_error = _in_a_row(refund, error), str(error)
        gap = _NOT_ENOUGH_GAPS[min(refund.attempts, len(_NOT_ENOUGH_GAPS)) - 1]
        wait(refund, RefundWait.NOT_ENOUGH, until=now + gap, now=now)
        assert refund.waiting_since is not None
        alarm_at = refund.waiting_since + _NOT_ENOUGH_ALARM
        if now < alarm_at:
            refund.check_at = min(refund.check_at, alarm_at)
            return
        facts = {"amount_fen": refund.amount_fen, "since": refund.waiting_since.isoformat()}
        await cases.note(
            session,
            "refund_not_enough",
            out_refund_no,
            at=now,
            payment_id=payment.id,
            refund_id=refund.id,
            facts=facts,
        )


async def _remember(db: Database, out_refund_no: str, error: str, *, in_a_row: int | None = None) -> None:
    async with db.begin() as session:
        found = await lock(session, out_refund_no)
        if found is not None:
            found[1].last_error = error
            found[1].attempts = in_a_row or found[1].attempts
