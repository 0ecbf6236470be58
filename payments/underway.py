"""Attempts that somebody may be paying right now."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from payments.models import LIVE, Payment

# Also where statements are written as text. A plan is made of what the planner last counted, and kept: after a quiet night
# it believes that hardly any attempt is live, and would rather read the whole index of live ones (that of `check_at`, for
# the sweeps) than find a payable's few attempts. In these words it does not see that it could.
_MAY_BE_PAID = Payment.state.concat("").in_(LIVE)


async def attempts(session: AsyncSession, payables: list[str]) -> list[Payment]:
    """Those for these payables, one at most for each."""
    statement = select(Payment).where(Payment.payable.in_(payables), _MAY_BE_PAID).order_by(Payment.id)
    return list(await session.scalars(statement))
