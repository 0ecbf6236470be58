"""Exceptions: money or news that did not fit, written in the transaction that found it."""

from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from payments.models import PaymentException

log = structlog.get_logger()


async def note(
    session: AsyncSession,
    kind: str,
    reference: str,
    *,
    at: datetime,
    payment_id: int | None = None,
    refund_id: int | None = None,
    facts: dict[str, Any] | None = None,
) -> None:
    """Open one case for this kind and reference; a second note of the same changes nothing.

    With `refund_id` the case answers itself: that refund carries the money back.
    """
    statement = insert(PaymentException).values(
        kind=kind,
        reference=reference,
        payment_id=payment_id,
        refund_id=refund_id,
        facts=facts or {},
        created_at=at,
    )
    await session.execute(statement.on_conflict_do_nothing())
    log.warning("payment exception", kind=kind, reference=reference)
