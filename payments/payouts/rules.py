"""What the shop allows of money out. One row; without it, what WeChat allows by default."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from payments.payouts.models import PayoutPolicy

Cap = Annotated[int, Meta(ge=1, le=1_000_000_000, description="Money in fen (1/100 yuan)")]
BasisPoints = Annotated[int, Meta(ge=0, le=10_000, description="Hundredths of a percent")]


class Rules(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The limits of money out, in force for whatever is asked from now on."""

    daily_cap_fen: Cap = 200_000
    """What one user may be promised by transfers on one Beijing day."""
    share_orders: bool = False
    """Payments are opened for profit sharing: WeChat freezes them until they are shared or unfrozen."""
    share_at_most_bp: BasisPoints = 3000
    """The most of a payment that may be shared (WeChat's default is 30 %)."""


async def current(session: AsyncSession) -> Rules:
    """The rules in force."""
    row = (await session.execute(select(PayoutPolicy))).scalar_one_or_none()
    return Rules() if row is None else msgspec.convert(row, Rules, from_attributes=True)


async def replace(session: AsyncSession, rules: Rules, *, by: str, at: datetime) -> None:
    """Put `rules` in force, as a whole."""
    values = {**msgspec.structs.asdict(rules), "updated_at": at, "updated_by": by}
    statement = insert(PayoutPolicy).values(id=1, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=[PayoutPolicy.id], set_=values))
