"""What the database is asked by a workload and what that costs it, by `pg_stat_statements`.

The embedded PostgreSQL comes without it: `--installed` names one that has it.
"""

import re
from typing import Any, Final

SETTINGS: Final = {"shared_preload_libraries": "pg_stat_statements", "track_io_timing": "on"}
MOST: Final = 8
_COSTLIEST: Final = """
    SELECT s.calls, s.rows, s.total_exec_time * 1000 / s.calls AS each_us,
        100 * s.total_exec_time / sum(s.total_exec_time) OVER () AS share,
        (s.shared_blks_hit + s.shared_blks_read)::float8 / s.calls AS blocks,
        s.wal_bytes::float8 / s.calls AS wal_bytes, s.query
    FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid
    WHERE r.rolname = 'shop_app'
    ORDER BY s.total_exec_time DESC LIMIT $1"""


async def begin(connection: Any) -> None:
    """Forget what was counted. For the superuser, in the database `postgres`, where the counts are read too."""
    await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    await connection.execute("SELECT pg_stat_statements_reset()")


async def costliest(connection: Any) -> list[str]:
    """A line for each of the statements that took most of the time, the costliest first.

    How often it ran, its mean in µs, its share of the time of all, rows, blocks and bytes of WAL each time, its text.
    `pgbench`'s are among them: they run as the same role, so that both are seen side by side.
    """
    rows = await connection.fetch(_COSTLIEST, MOST)
    head = f"{'calls':>9} {'µs each':>8} {'share':>6} {'rows':>6} {'blocks':>7} {'WAL':>6}"
    return [head, *(_line(row) for row in rows)]


def _line(row: Any) -> str:
    figures = f"{row['calls']:>9,} {row['each_us']:>8.0f} {row['share']:>5.0f}% {row['rows'] / row['calls']:>6.1f}"
    said = re.sub(r"\s+", " ", row["query"]).strip()
    return f"{figures} {row['blocks']:>7.1f} {row['wal_bytes']:>6.0f}  {said[:90]}"
