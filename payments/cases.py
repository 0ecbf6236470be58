"""Exceptions: money or news that did not fit, written in the transaction that found it."""

from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import and_, or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from payments.models import PaymentException

log = structlog.get_logger()

ALARMS = frozenset({"wrong_account", "second_transaction", "reused_transaction", "unknown_order", "apiv3_key_wrong"})
"""Kinds that say that something is wrong with the account itself, or that somebody lies: a person must look now."""

_PASSING = frozenset({"refund_abnormal", "refund_closed", "refund_not_enough", "refund_refused", "unknown_refund"})
"""Troubles of a refund that are over when its money is back."""


async def note(
    session: AsyncSession,
    kind: str,
    reference: str,
    *,
    at: datetime,
    payment_id: int | None = None,
    refund_id: int | None = None,
    facts: dict[str, Any] | None = None,
    again: bool = False,
) -> bool:
    """Open one case for this kind and reference; a second note of the same changes nothing. Was it opened just now?

    With `refund_id` the case answers itself: that refund carries the money back. `again`: it has happened once more, so
    a case that somebody resolved is open again.
    """
    statement = insert(PaymentException).values(
        kind=kind,
        reference=reference,
        payment_id=payment_id,
        refund_id=refund_id,
        facts=facts or {},
        created_at=at,
    )
    if again:
        anew = {
            "refund_id": refund_id,
            "facts": facts or {},
            "resolved_at": None,
            "resolved_by": None,
            "resolution": None,
        }
        statement = statement.on_conflict_do_update(
            index_elements=["kind", "reference"], set_=anew, where=PaymentException.resolved_at.is_not(None)
        )
    else:
        statement = statement.on_conflict_do_nothing()
    opened = await session.scalar(statement.returning(PaymentException.id)) is not None
    alarm = log.critical if kind in ALARMS else log.warning
    alarm("payment exception", kind=kind, reference=reference)
    return opened


async def answered(session: AsyncSession, out_refund_no: str, refund_id: int, resolution: str, at: datetime) -> None:
    """What was open about this refund, or waited for it, has ended well: nobody needs to look any more."""
    about = and_(PaymentException.reference == out_refund_no, PaymentException.kind.in_(_PASSING))
    statement = update(PaymentException).where(
        or_(about, PaymentException.refund_id == refund_id), PaymentException.resolved_at.is_(None)
    )
    await session.execute(statement.values(resolved_at=at, resolved_by="system", resolution=resolution))


async def over(session: AsyncSession, kind: str, reference: str, resolution: str, at: datetime) -> None:
    """What this case tells of has ended by itself, if there is one that is open."""
    statement = update(PaymentException).where(
        PaymentException.kind == kind, PaymentException.reference == reference, PaymentException.resolved_at.is_(None)
    )
    await session.execute(statement.values(resolved_at=at, resolved_by="system", resolution=resolution))
