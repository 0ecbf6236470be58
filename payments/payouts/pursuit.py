"""What every row that is pursued at WeChat has in common: when to ask next, how often it was tried, what went wrong."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from kit.clock import Clock
from kit.database import Database

_GAPS = tuple(timedelta(seconds=s) for s in (5, 30, 120, 600, 3600, 21_600))
"""The silence between two questions about the same row grows, up to six hours."""
_FAILED_GAPS = 3
"""Silence may grow longer than trouble: what could not be asked or sent is tried again after that gap at the latest."""


def one_of(column: str, kind: type[StrEnum]) -> CheckConstraint:
    """`column` holds a value of `kind` and nothing else."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(value.value) for value in kind)})", name=column)


class Pursued:
    """Mixed into a table."""

    attempts: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How often it was taken to WeChat: above zero, WeChat may know it."""
    checks: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How often in a row there was nothing new."""
    check_at: Mapped[datetime]
    """When to go on with it, should no news come."""
    last_error: Mapped[str | None]

    def rest(self, at: datetime) -> None:
        """Nothing new: the next look comes later than the last one did."""
        self.check_at = at + _GAPS[min(self.checks, len(_GAPS) - 1)]
        self.checks += 1

    def stir(self, at: datetime) -> None:
        """Something new: look again soon."""
        self.checks = 0
        self.rest(at)


async def due(session: AsyncSession, table: Any, number: Any, open_states: Iterable[str], now: datetime) -> list[Any]:
    """`number` of rows of `table` in one of `open_states` whose time has come, each put off to its next turn."""
    statement = (
        select(table)
        .where(table.state.in_(list(open_states)), table.check_at <= now)
        .order_by(table.check_at)
        .limit(50)
        .with_for_update(skip_locked=True)
    )
    rows = list((await session.execute(statement)).scalars())
    for row in rows:
        row.rest(now)
    return [getattr(row, number.key) for row in rows]


async def remember(db: Database, clock: Clock, table: Any, row_id: int, error: Exception) -> None:
    """Write down why it did not go on. The row stays as it is, and is looked at again within ten minutes."""
    async with db.begin() as session:
        row = await session.get(table, row_id, with_for_update=True)
        if row is not None:
            row.last_error = str(error)[:300]
            row.checks = min(row.checks, _FAILED_GAPS)
            row.check_at = clock.now() + _GAPS[row.checks]
