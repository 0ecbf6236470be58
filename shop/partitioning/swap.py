"""The short transaction in which a table becomes the first partition of a table of its own name.

Everything that hangs on the table is read from the catalog and made anew on the parent word for word: keys, checks,
foreign keys, indexes, triggers, grants, and the identity with its next value. Indexes of the old table are attached, not
built; no row is read, since a validated CHECK has promised what the bound asks.
"""

from typing import Any, Final

SCHEMA: Final = "partitions"
BOUND: Final = "partition_bound"
"""The promise that every id is below the first partition's upper bound."""

_LIKE: Final = "INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS"

_REFERENCED = """
    SELECT DISTINCT confrelid::regclass::text FROM pg_constraint
    WHERE conrelid = $1::regclass AND contype = 'f' ORDER BY 1"""
_CONSTRAINTS = """
    SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', $1::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE conrelid = $1::regclass AND contype IN ('p', 'u', 'c', 'f') AND conname <> $2
    ORDER BY contype = 'f', conname"""
_INDEXES = """
    SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = $1::regclass
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND conrelid = indrelid) ORDER BY 1"""
_TRIGGERS = """
    SELECT tgname, pg_get_triggerdef(oid) AS definition FROM pg_trigger
    WHERE tgrelid = $1::regclass AND NOT tgisinternal ORDER BY tgname"""
_GRANTS = """
    SELECT who, string_agg(right_, ', ' ORDER BY right_) AS rights FROM (
        SELECT CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS who, privilege_type AS right_
        FROM pg_class, aclexplode(relacl) WHERE oid = $1::regclass AND grantee <> relowner
    ) granted GROUP BY 1 ORDER BY 1"""


async def referenced(connection: Any, table: str) -> list[str]:
    """The tables its foreign keys name: making the foreign key anew locks them, too."""
    return [str(row[0]) for row in await connection.fetch(_REFERENCED, f"public.{table}")]


async def lock(connection: Any, table: str, others: list[str]) -> None:
    """Keep everybody out of `others` and `table`, in the order in which the shop locks: `others` first.

    `others` so strictly, since attaching a table that has the foreign key already drops that one's triggers on them.
    Taken later they would never come free: who has written an order waits for the table that we hold. Raises asyncpg's `LockNotAvailableError` after the transaction's `lock_timeout`.
    """
    for other in others:
        await connection.execute(f"LOCK TABLE {other} IN ACCESS EXCLUSIVE MODE")
    await connection.execute(f"LOCK TABLE public.{table} IN ACCESS EXCLUSIVE MODE")


async def swap(connection: Any, table: str, bound: int, rows: int) -> None:
    """Within the caller's transaction, after `lock`. `bound` is what the validated CHECK `BOUND` promised."""
    name, old, first = f"public.{table}", f"{SCHEMA}.{table}", f"{SCHEMA}.{table}_from_0"
    sequence = await connection.fetchval("SELECT pg_get_serial_sequence($1, 'id')", name)
    used = await connection.fetchval("SELECT pg_sequence_last_value($1::text::regclass)", sequence)
    constraints = [row[0] for row in await connection.fetch(_CONSTRAINTS, name, BOUND)]
    indexes = [row[0] for row in await connection.fetch(_INDEXES, name)]
    triggers = await connection.fetch(_TRIGGERS, name)
    grants = await connection.fetch(_GRANTS, name)
    sequence_grants = await connection.fetch(_GRANTS, sequence)
    statements = [
        f"ALTER TABLE {name} SET SCHEMA {SCHEMA}",
        f"ALTER TABLE {old} RENAME TO {table}_from_0",
        *(f'DROP TRIGGER "{row["tgname"]}" ON {first}' for row in triggers),  # attaching brings the parent's
        *(f"REVOKE ALL ON {first} FROM {row['who']}" for row in grants),
        f"CREATE TABLE {name} (LIKE {first} {_LIKE}) PARTITION BY RANGE (id)",
        f"ALTER TABLE {first} ALTER COLUMN id DROP IDENTITY",
        *constraints,
        *indexes,
        *(row["definition"] for row in triggers),
        *(f"GRANT {row['rights']} ON {name} TO {row['who']}" for row in grants),
        f"ALTER TABLE {name} ATTACH PARTITION {first} FOR VALUES FROM (MINVALUE) TO ({bound})",
        f"ALTER TABLE {first} DROP CONSTRAINT {BOUND}",
        f"CREATE TABLE {SCHEMA}.{table}_from_{bound} PARTITION OF {name} FOR VALUES FROM ({bound}) TO ({bound + rows})",
    ]
    await connection.execute(";\n".join(statements))
    made = await connection.fetchval("SELECT pg_get_serial_sequence($1, 'id')", name)
    if used:  # not RESTART WITH, after which nobody can ask for the last value
        await connection.execute("SELECT setval($1::text::regclass, $2)", made, used)
    for row in sequence_grants:
        await connection.execute(f"GRANT {row['rights']} ON SEQUENCE {made} TO {row['who']}")
