"""asyncpg without SQLAlchemy on top, for the measured paths: one statement, one round trip.

Context: a session, its greenlet and its BEGIN cost more than the statements of a hot path themselves. Decision: a second,
small pool of bare connections beside the engine's; each statement is its own transaction unless one is begun, plans are
generic (re-planning a large statement costs more than running it), and nothing is reset at release, which saves a
round trip and is safe because nothing here leaves state behind. Consequence: two pools in a process, both small.
Alternative: the connection underneath a session, which pays for the session all the same.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from kit import hosts

_IDLE_S = 300.0
_FAREWELL_S = 6.0
_MOST_QUERIES = 1_000_000  # then a connection is renewed: what the server keeps for it has grown


class BarePool:
    """Opened by its first use. `connect` are asyncpg's own arguments for each connection."""

    def __init__(self, url: str, *, size: int, acquire_timeout_s: float, connect: dict[str, Any]) -> None:
        self._url = url
        self._size = size
        self._acquire_timeout_s = acquire_timeout_s
        self._connect = connect
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Any]:
        """A connection. Raises what asyncpg raises, `OSError` and `TimeoutError` when none can be had."""
        pool = self._pool or await self._open()
        connection = await pool.acquire(timeout=self._acquire_timeout_s)
        try:
            yield connection
        except asyncpg.ReadOnlySQLTransactionError:
            await pool.expire_connections()  # this server is no primary: the next connections look for it anew
            raise
        except asyncpg.InternalClientError:  # the server has just said farewell, unasked
            connection.terminate()
            raise
        finally:
            with suppress(asyncpg.InternalClientError):  # somebody cancelled has hung up, and it is free already
                await pool.release(connection)

    async def close(self) -> None:
        """Wait for what is under way, as long as a statement may take; then all connections are gone."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            with suppress(TimeoutError):  # cut off, it ends them all at once
                async with asyncio.timeout(_FAREWELL_S):
                    await pool.close()

    async def _open(self) -> "asyncpg.Pool[asyncpg.Record]":
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=self._size,
                    max_queries=_MOST_QUERIES,
                    max_inactive_connection_lifetime=_IDLE_S,
                    reset=_as_it_is,
                    connect=hosts.connect,
                    **self._connect,
                )
            return self._pool


async def _as_it_is(_connection: Any) -> None:
    """asyncpg itself has rolled back what was left open; there is nothing else to undo."""
