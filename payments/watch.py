"""What an alarm should look at: gauges of news not handled and of money that does not fit, read when they are scraped.

Alert on `payment_exceptions_open{kind="apiv3_key_wrong"} > 0` and its like, and on `notices_unhandled_oldest_seconds`.
"""

from datetime import datetime

from prometheus_client import Gauge
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from payments.cases import ALARMS
from payments.models import Notice, PaymentException

_EXCEPTIONS = Gauge("payment_exceptions_open", "Payment exceptions that nobody has settled yet", ["kind"])
_NOTICES = Gauge("notices_unhandled", "Genuine notifications that are stored and not handled yet")
_OLDEST = Gauge("notices_unhandled_oldest_seconds", "Age of the oldest of them; 0 when there is none")


async def read(session: AsyncSession, now: datetime) -> None:
    """Set the gauges from the database."""
    kinds = select(PaymentException.kind, func.count()).where(PaymentException.resolved_at.is_(None))
    _EXCEPTIONS.clear()
    for kind in ALARMS:
        _EXCEPTIONS.labels(kind).set(0)  # an alert on a series that is not there never fires
    for kind, count in await session.execute(kinds.group_by(PaymentException.kind)):
        _EXCEPTIONS.labels(kind).set(count)
    waiting = select(func.count(), func.min(Notice.received_at)).where(Notice.handled_at.is_(None))
    count, oldest = (await session.execute(waiting)).one()
    _NOTICES.set(count)
    _OLDEST.set(max((now - oldest).total_seconds(), 0) if oldest else 0)
