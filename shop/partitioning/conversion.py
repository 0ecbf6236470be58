"""Dividing one table, online: promise a bound, check it beside the running shop, swap in one short transaction.

What the shop feels is two waits of at most `_LOCK_MS` and a few milliseconds for each try: a try that does not get its
lock in time steps back and comes again. That is below PostgreSQL's deadlock_timeout and the shop's own lock_timeout, so
no transaction of the shop's is ever ended because of us.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

import asyncpg
import msgspec

from kit import hosts
from shop.partitioning.spans import TABLES
from shop.partitioning.swap import BOUND, SCHEMA, lock, referenced, swap

T = TypeVar("T")
_LOCK_MS: Final = 300
_TRIES: Final = 120
_PAUSE_S: Final = 0.5
_ALONE: Final = 7260126003
_STATE = "SELECT relkind::text AS kind, pg_get_userbyid(relowner) = current_user AS ours FROM pg_class WHERE oid = to_regclass($1)"
_DEPENDENTS = """
    SELECT DISTINCT r.ev_class::regclass::text FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = $1::regclass AND r.ev_class <> $1::regclass
    UNION SELECT conrelid::regclass::text FROM pg_constraint WHERE confrelid = $1::regclass AND contype = 'f'
    UNION SELECT 'publication ' || p.pubname FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
    WHERE r.prrelid = $1::regclass"""
_HOLDERS = """
    SELECT DISTINCT format('%s (pid %s)', coalesce(nullif(a.application_name, ''), 'somebody'), a.pid)
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.relation = ANY($1::text[]::regclass[]) AND l.granted AND a.pid <> pg_backend_pid() ORDER BY 1 LIMIT 5"""


class CannotPartition(Exception):
    """The table stays as it was; the text says why."""


class Report(msgspec.Struct, frozen=True):
    """What was done. Without a bound: the table was divided before, and only partitions ahead were made."""

    table: str
    bound: int | None
    """Ids below it are in the first partition."""
    made: int
    """Partitions that wait ahead, made now."""
    checked_s: float = 0.0
    """Reading every row once, beside the running shop."""
    locked_ms: float = 0.0
    """How long the table was closed."""
    tries: int = 0


async def convert(owner_url: str, table: str, rows: int) -> Report:
    """Divide `table` into partitions of `rows` ids, its rows of today (and up to two partitions' worth of ids more) in
    the first. Harmless when repeated, and when an earlier one was broken off. Raises `CannotPartition`.
    """
    if table not in TABLES:
        raise CannotPartition(f"{table} cannot be divided; these can: {', '.join(TABLES)}")
    settings = {"application_name": "shop-partition", "statement_timeout": "0", "timezone": "UTC"}
    try:
        connection = await hosts.connect(owner_url, timeout=10, statement_cache_size=0, server_settings=settings)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise CannotPartition(f"the database does not let us in ({type(error).__name__})") from error
    try:
        return await _Division(connection, table, rows).run()
    except asyncpg.InsufficientPrivilegeError as error:
        raise CannotPartition(f"{error}; run it as the owner of the schema (DATABASE_OWNER_URL)") from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise CannotPartition(f"the database refused: {error}") from error
    finally:
        await connection.close(timeout=5)


class _Division:
    def __init__(self, connection: "asyncpg.Connection", table: str, rows: int) -> None:
        self.connection, self.table, self.rows = connection, table, rows
        self.name = f"public.{table}"
        self.tries = 0

    async def run(self) -> Report:
        if not await self.connection.fetchval("SELECT pg_try_advisory_lock($1)", _ALONE):
            raise CannotPartition("another `partition` is at work")
        if await self._is_divided():
            return Report(self.table, None, await self._make_ahead())
        await self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        bound, checked_s, locked_ms = await self._divide()
        made = await self._make_ahead()
        await self.connection.execute(f"ANALYZE {self.name}")  # nobody does it by itself for a parent
        return Report(self.table, bound, made + 1, checked_s, locked_ms, self.tries)

    async def _is_divided(self) -> bool:
        """Raises `CannotPartition` when it is not ours to divide, or something else hangs on it."""
        state = await self.connection.fetchrow(_STATE, self.name)
        if state is None:
            raise CannotPartition(f"there is no table {self.table}: run `python -m shop migrate` first")
        if not state["ours"]:
            raise CannotPartition(f"{self.table} is another role's: run it as its owner (DATABASE_OWNER_URL)")
        if state["kind"] == "p":
            return True
        dependents = [row[0] for row in await self.connection.fetch(_DEPENDENTS, self.name)]
        if dependents:
            raise CannotPartition(f"{', '.join(dependents)} would go on with the first partition only: drop it first")
        return False

    async def _divide(self) -> tuple[int, float, float]:
        others = await referenced(self.connection, self.table)
        try:
            bound = await self._quickly([self.name], self._promise)
            started = time.perf_counter()
            await self.connection.execute(f"ALTER TABLE {self.name} VALIDATE CONSTRAINT {BOUND}")
            checked_s = time.perf_counter() - started
            self.tries = 0
            return bound, checked_s, await self._quickly([*others, self.name], lambda: self._swap(others, bound))
        except BaseException:
            # Left behind, the promise would refuse rows one day. When even this fails, `doctor` finds it.
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, CannotPartition):
                await self._quickly([self.name], self._take_back)
            raise

    async def _used(self) -> int:
        """The last id handed out."""
        sequence = "pg_get_serial_sequence($1, 'id')::regclass"
        return int(await self.connection.fetchval(f"SELECT coalesce(pg_sequence_last_value({sequence}), 0)", self.name))

    async def _promise(self) -> int:
        """Rows that come meanwhile are checked at once, so the bound leaves room for one to two partitions' worth."""
        bound = (await self._used() // self.rows + 2) * self.rows
        await self.connection.execute(
            f"ALTER TABLE {self.name} DROP CONSTRAINT IF EXISTS {BOUND},"
            f" ADD CONSTRAINT {BOUND} CHECK (id < {bound}) NOT VALID"
        )
        return bound

    async def _take_back(self) -> None:
        await self.connection.execute(f"ALTER TABLE {self.name} DROP CONSTRAINT IF EXISTS {BOUND}")

    async def _swap(self, others: list[str], bound: int) -> float:
        """How long the table was closed, in ms, but for the commit. Raises `CannotPartition`."""
        if await self._used() > bound - self.rows // 2:  # soon the promise would refuse rows
            raise CannotPartition(f"rows come too fast for partitions of {self.rows}: take more with --rows")
        await lock(self.connection, self.table, others)
        started = time.perf_counter()
        await swap(self.connection, self.table, bound, self.rows)
        return (time.perf_counter() - started) * 1000

    async def _quickly(self, names: list[str], work: Callable[[], Awaitable[T]]) -> T:
        """`work` in a transaction that waits for locks `_LOCK_MS` at most, again and again until it gets them."""
        for _ in range(_TRIES):
            self.tries += 1
            try:
                async with self.connection.transaction():
                    # Writers do not mind this lock, but a vacuum that would hold us up ends for it, after a second.
                    await self.connection.execute("SET LOCAL lock_timeout = '5s'")
                    await self.connection.execute(f"LOCK TABLE {', '.join(names)} IN SHARE UPDATE EXCLUSIVE MODE")
                    await self.connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_MS}ms'")
                    return await work()
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                await asyncio.sleep(_PAUSE_S)
        holders = ", ".join(row[0] for row in await self.connection.fetch(_HOLDERS, names))
        raise CannotPartition(f"{self.table} is never free for a moment; held by {holders or 'many, each for a while'}")

    async def _make_ahead(self) -> int:
        return int(await self.connection.fetchval("SELECT make_partitions_ahead()"))
