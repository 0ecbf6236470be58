"""The spans of ids that a divided table has partitions for, and the making of the next ones."""

from typing import Any, Final, Protocol

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

TABLES: Final = ("stock_move", "order_event", "audit_entry")
"""Append-only, their only key the identity. `make_partitions_ahead` in the database knows the same three."""
ROWS: Final = 10_000_000
"""Ids in a partition: some gigabytes, and an index that fits in memory."""
MIN_ROWS: Final = 100_000
"""Fewer might be used up before the worker's next turn."""

_HEADROOM = r"""
    SELECT c.relname AS "table", c.relkind = 'p' AS divided, x.oid IS NOT NULL AND c.relkind <> 'p' AS unfinished,
        (SELECT count(*) FROM pg_inherits i WHERE i.inhparent = c.oid) AS partitions,
        (SELECT coalesce(bool_or(NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = i.inhrelid
                                             AND g.tgname = 'append_only' AND g.tgenabled <> 'D')), false)
         FROM pg_inherits i WHERE i.inhparent = c.oid AND NOT i.inhdetachpending) AS unguarded,
        coalesce(pg_sequence_last_value(pg_get_serial_sequence('public.' || c.relname, 'id')::regclass), 0) AS used,
        b.lower, b.upper
    FROM pg_class c
    LEFT JOIN pg_constraint x ON x.conrelid = c.oid AND x.conname = 'partition_bound'
    LEFT JOIN LATERAL (
        SELECT (regexp_match(pg_get_expr(p.relpartbound, p.oid), 'FROM \(''?(\d+)'))[1]::bigint AS lower,
               (regexp_match(pg_get_expr(p.relpartbound, p.oid), 'TO \(''?(\d+)'))[1]::bigint AS upper
        FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid
        WHERE i.inhparent = c.oid AND NOT i.inhdetachpending ORDER BY upper DESC LIMIT 1
    ) b ON true
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname = ANY($1::text[])
    ORDER BY c.relname"""


class Connection(Protocol):
    """asyncpg's, as far as it is needed here."""

    async def fetch(self, query: str, *values: Any) -> list[Any]: ...


class Headroom(msgspec.Struct, frozen=True):
    """How far the partitions of one table reach."""

    table: str
    divided: bool
    unfinished: bool
    """A division was broken off between its promise and its end: the promise refuses ids that come later."""
    partitions: int
    unguarded: bool
    """A partition lost the trigger that refuses changes."""
    used: int
    """The last id handed out."""
    lower: int | None
    upper: int | None
    """The newest partition takes ids from `lower` to below `upper`."""

    @property
    def ahead(self) -> float:
        """For how many partitions' worth of ids there is room. The worker keeps it above three."""
        if self.upper is None or self.lower is None:
            return 0.0
        return (self.upper - 1 - self.used) / (self.upper - self.lower)


async def headroom(connection: Connection) -> list[Headroom]:
    """All of `TABLES`, divided or not. The application's role may ask."""
    return [Headroom(**row) for row in await connection.fetch(_HEADROOM, list(TABLES))]


async def make_ahead(session: AsyncSession) -> int:
    """Make the partitions that will be needed; how many were made. Nothing for tables that are not divided.

    The application's role may not alter the schema: the function is the owner's and can do nothing else. It steps back
    from a lock that it does not get at once, and makes the rest in its next turn.
    """
    return int(await session.scalar(text("SELECT make_partitions_ahead()")) or 0)
