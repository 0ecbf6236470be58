"""What has served its time is dropped, so much at a time: one statement for all of it may need longer than it is given,
and then nothing is ever dropped."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

MOST: Final = 2_000
"""Rows of one turn: on a slow disk, each somewhere else, still well within the statement's time."""


async def drop(session: AsyncSession, at: InstrumentedAttribute[Any], until: datetime) -> bool:
    """Drop the oldest rows whose `at`, which has an index, is `until` or before. Is there more?

    What somebody holds is left for the next turn. The keys are found once, before: as a plain subquery they might be
    found again for each row, and more would go than was meant.
    """
    table = at.class_.__table__
    keys = table.primary_key.columns
    old = select(*keys).where(at <= until).order_by(at).limit(MOST).with_for_update(skip_locked=True).cte("old")
    dropped = delete(table).where(tuple_(*keys).in_(select(*old.c))).returning(*keys)
    return len((await session.execute(dropped)).all()) == MOST
