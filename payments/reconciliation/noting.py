"""What needs a person becomes a case, once; what a later run finds gone is resolved by itself."""

from datetime import date, datetime

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from payments import cases
from payments.models import Payment, PaymentException
from payments.reconciliation.models import BillDifference, BillState

_PAGE = 200
_RESOLVED_BY = "system"

_GONE = text(
    """
    UPDATE payment_exception e SET resolved_at = :now, resolved_by = :by, resolution = 'gone'
    FROM bill_difference d
    WHERE d.day = :day AND d.gone_at IS NOT NULL AND d.noted_at IS NOT NULL
        AND e.kind = d.kind AND e.reference = d.reference AND e.resolved_at IS NULL AND NOT EXISTS (
            SELECT FROM bill_difference o WHERE o.kind = d.kind AND o.reference = d.reference AND o.gone_at IS NULL)
    """
)


async def note_some(session: AsyncSession, day: date, now: datetime) -> int:
    """Open the cases of the day's next differences that nothing explained; 0 when there are none left."""
    statement = (
        select(BillDifference)
        .where(
            BillDifference.day == day,
            BillDifference.gone_at.is_(None),
            BillDifference.noted_at.is_(None),
            ~BillDifference.waits,
        )
        .order_by(BillDifference.id)
        .limit(_PAGE)
        .with_for_update()
    )
    some = list(await session.scalars(statement))
    for found in some:
        payment_id = await session.scalar(select(Payment.id).where(Payment.out_trade_no == found.out_trade_no))
        facts = {
            "day": day.isoformat(),
            "out_trade_no": found.out_trade_no,
            "out_refund_no": found.out_refund_no,
            "answer": found.answer,
            **found.facts,
        }
        await _reopen(session, found.kind, found.reference)
        again = await _decided_on(session, found) not in {None, facts["day"]}  # a decision is about what it was shown
        await cases.note(session, found.kind, found.reference, at=now, payment_id=payment_id, facts=facts, again=again)
        found.noted_at = now
    return len(some)


async def _reopen(session: AsyncSession, kind: str, reference: str) -> None:
    """It was gone, and is there again."""
    statement = update(PaymentException).where(
        PaymentException.kind == kind,
        PaymentException.reference == reference,
        PaymentException.resolved_by == _RESOLVED_BY,
    )
    await session.execute(statement.values(resolved_at=None, resolved_by=None, resolution=None))


async def _decided_on(session: AsyncSession, found: BillDifference) -> str | None:
    """The day of the difference that a person has resolved, when it was of the same kind about the same thing."""
    statement = select(PaymentException.facts["day"].astext).where(
        PaymentException.kind == found.kind,
        PaymentException.reference == found.reference,
        PaymentException.resolved_at.is_not(None),
    )
    day: str | None = await session.scalar(statement)
    return day


async def resolve_gone(session: AsyncSession, day: date, now: datetime) -> None:
    """Close the cases of differences that are no more."""
    await session.execute(_GONE, {"day": day, "now": now, "by": _RESOLVED_BY})


async def resolve_had(session: AsyncSession, day: date, kind: str, state: BillState, now: datetime) -> None:
    """The bill could not be had or not be believed, and now it is."""
    statement = update(PaymentException).where(
        PaymentException.kind.in_(["bill_unavailable", "bill_broken"]),
        PaymentException.reference == f"{day}:{kind}",
        PaymentException.resolved_at.is_(None),
    )
    await session.execute(statement.values(resolved_at=now, resolved_by=_RESOLVED_BY, resolution=state.value))
