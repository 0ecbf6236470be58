"""Reads from a standby, where what it knows is proven to be new enough; everything else from the primary.

Context: a standby replays what the primary has done a moment ago, or, when it lags, long ago, and does not say so.
Decision: several times a second the primary is asked how far its log reaches; once the standby has replayed that far, it
is proven to know everything that was committed before the question was sent. Who reads says as of when it must know.
Consequence: a standby that lags or is away is not asked at all; one that dies, or falls silent, while it is asked costs
whoever asked half a second (a report three times that), and the primary answers. Alternative: the delay that `pg_stat_replication` reports, which is
the primary's opinion of a moment nobody can name.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from kit.database import Database, DatabaseUnavailable

log = structlog.get_logger()

T = TypeVar("T")

_PROVE_EVERY_S: Final = 0.2
_AGAIN_S: Final = 1.0
_PATIENCE_S: Final = 0.5
_PATIENCE_FOR_REPORTS_S: Final = 1.5
"""So long a read may take there, the wait for a connection included; what really takes longer has the primary's time."""
_FORGIVE_S: Final = 2.0
"""A standby on which a read failed is left alone for so long."""
_PRIMARY = "SELECT (pg_current_wal_lsn() - '0/0')::bigint"
_STANDBY = "SELECT (pg_last_wal_replay_lsn() - '0/0')::bigint"  # NULL where it is no standby


class Replicated(Database):
    """A database with a standby for `reading` and `looking`."""

    def __init__(self, url: str, standby_url: str, *, name: str = "shop", **primary: Any) -> None:
        super().__init__(url, name=name, **primary)
        self._standby = Database(standby_url, pool_size=4, name=f"{name}-reading", read_only=True)
        self._proven_at = float("-inf")
        self._shunned_until = float("-inf")
        self._follower: asyncio.Task[None] | None = None

    def knows(self, as_of: float) -> bool:
        """Whether the standby is proven to know what was committed before `as_of` (`time.monotonic`)."""
        if self._follower is None:  # from the first question on
            self._follower = asyncio.get_running_loop().create_task(self._follow())
        return self._proven_at >= as_of and time.monotonic() >= self._shunned_until

    async def reading(self, work: Callable[[Any], Awaitable[T]], *, as_of: float) -> T:
        return await self._asked(Database.reading, work, as_of, _PATIENCE_S)

    async def looking(self, work: Callable[[AsyncSession], Awaitable[T]], *, as_of: float) -> T:
        return await self._asked(Database.looking, work, as_of, _PATIENCE_FOR_REPORTS_S)

    async def close(self) -> None:
        if self._follower is not None:
            self._follower.cancel()
            with suppress(asyncio.CancelledError):
                await self._follower
        await self._standby.close()
        await super().close()

    async def _asked(self, read: Callable[..., Awaitable[T]], work: Any, as_of: float, patience_s: float) -> T:
        """Of the standby, if it is proven; of the primary, if it is not or does not answer."""
        if self.knows(as_of):
            try:
                async with asyncio.timeout(patience_s):
                    return await read(self._standby, work, as_of=as_of)
            except (DatabaseUnavailable, TimeoutError) as error:
                self._shunned_until = time.monotonic() + _FORGIVE_S
                log.info("the standby did not answer", error=type(error).__name__)
        return await read(self, work, as_of=as_of)

    async def _follow(self) -> None:
        while True:
            try:
                await self._prove()
            except DatabaseUnavailable:
                await asyncio.sleep(_AGAIN_S)
            except Exception:
                log.exception("the standby cannot be followed")
                await asyncio.sleep(_AGAIN_S)
            await asyncio.sleep(_PROVE_EVERY_S)

    async def _prove(self) -> None:
        """One proof, or none when the standby has not come so far.

        A standby further on than the primary is no standby of it: it has heard of the old primary what the new one has
        not, and must be made anew.
        """
        asked_at = time.monotonic()
        async with self.bare() as connection:
            reached = await connection.fetchval(_PRIMARY)
        async with self._standby.bare() as connection:
            replayed = await connection.fetchval(_STANDBY)
        async with self.bare() as connection:
            now_reached = await connection.fetchval(_PRIMARY)
        if replayed is not None and reached <= replayed <= now_reached:
            self._proven_at = asked_at
