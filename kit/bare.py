"""asyncpg without SQLAlchemy on top, for the measured paths: one statement, one round trip.

Context: a session, its greenlet and its BEGIN cost more than the statements of a hot path themselves. Decision: a second,
small pool of bare connections beside the engine's; each statement is its own transaction unless one is begun, plans are
generic (re-planning a large statement costs more than running it), and nothing is reset at release, which saves a
round trip and is safe because nothing here leaves state behind. asyncpg's pool lends each connection for a second at a
time: two tasks and a timer for each loan would be a tenth of what a request costs. Consequence: two pools in a process,
both small. Alternative: the connection underneath a session, which pays for the session all the same.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import Any

import asyncpg

from kit import hosts

_IDLE_S = 300.0
_FAREWELL_S = 6.0
_LOAN_S = 1.0
_MOST_QUERIES = 1_000_000  # then a connection is renewed: what the server keeps for it has grown


class _Loan:
    """A connection that asyncpg's pool has lent us, in use or at hand for whoever comes next."""

    __slots__ = ("connection", "era", "pool", "until")

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", connection: Any, era: int) -> None:
        self.pool = pool
        self.connection = connection
        self.era = era
        self.until = time.monotonic() + _LOAN_S

    def is_usable(self) -> bool:
        """Whether it is there, and nothing is left open on it."""
        try:
            return not (self.connection.is_closed() or self.connection.is_in_transaction())
        except asyncpg.InterfaceError:  # the server has closed it, and the pool has taken it back
            return False

    async def end(self) -> None:
        """The pool decides whether it is used again."""
        with suppress(asyncpg.InternalClientError):  # somebody cancelled has hung up, and it is free already
            await self.pool.release(self.connection)


class BarePool:
    """Opened by its first use. `connect` are asyncpg's own arguments for each connection."""

    def __init__(self, url: str, *, size: int, acquire_timeout_s: float, connect: dict[str, Any]) -> None:
        self._url = url
        self._size = size
        self._acquire_timeout_s = acquire_timeout_s
        self._connect = connect
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()
        self._at_hand: list[_Loan] = []
        """The one that was used last is taken first, so that those nobody needs can be given back."""
        self._waiting = 0
        """So many wait for the pool: it is given back what is free."""
        self._era = 0
        self._clearing: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Any]:
        """A connection. Raises what asyncpg raises, `OSError` and `TimeoutError` when none can be had."""
        loan = await self._borrow()
        try:
            yield loan.connection
        except BaseException as error:
            try:
                if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
                    await self._look_for_the_primary(loan.pool)
                elif isinstance(error, asyncpg.InternalClientError):  # the server has just said farewell, unasked
                    loan.connection.terminate()
            finally:
                await loan.end()
            raise
        if not self._keep(loan):
            await loan.end()

    async def close(self) -> None:
        """Wait for what is under way, as long as a statement may take; then all connections are gone."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            if self._clearing is not None:
                self._clearing.cancel()
            await self._end(self._at_hand)
            with suppress(TimeoutError):  # cut off, it ends them all at once
                async with asyncio.timeout(_FAREWELL_S):
                    await pool.close()

    async def _borrow(self) -> _Loan:
        while self._at_hand:
            loan = self._at_hand.pop()
            if loan.is_usable():
                return loan
            await loan.end()
        pool = self._pool or await self._open()
        self._waiting += 1
        try:
            connection = await pool.acquire(timeout=self._acquire_timeout_s)
        finally:
            self._waiting -= 1
        return _Loan(pool, connection, self._era)

    def _keep(self, loan: _Loan) -> bool:
        """Have it at hand for whoever comes next; False when it has to go back."""
        if self._waiting or loan.pool is not self._pool or loan.era != self._era or loan.until < time.monotonic():
            return False
        if not loan.is_usable():
            return False
        self._at_hand.append(loan)
        if self._clearing is None:
            self._clearing = asyncio.get_running_loop().create_task(self._clear(), context=Context())
        return True

    async def _clear(self) -> None:
        """Give back what nobody needs, so that the pool can close or renew it, until nothing is at hand."""
        try:
            while self._at_hand:
                await asyncio.sleep(_LOAN_S)
                now = time.monotonic()
                await self._end([loan for loan in self._at_hand if loan.until < now])
        finally:
            self._clearing = None

    async def _end(self, loans: list[_Loan]) -> None:
        for loan in [*loans]:
            if loan in self._at_hand:  # not taken meanwhile
                self._at_hand.remove(loan)
                await loan.end()

    async def _look_for_the_primary(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        """This server takes no writes: every connection is opened anew."""
        self._era += 1
        await pool.expire_connections()
        await self._end(self._at_hand)

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
