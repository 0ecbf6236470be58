"""`/healthz`: the process lives. `/readyz`: it can serve. `/metrics`: Prometheus, for loopback and the private network."""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.di import NamedDependency
from prometheus_client import CONTENT_TYPE_LATEST, Gauge
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from kit.clock import Clock
from kit.database import Database, DatabaseUnavailable
from kit.errors import NotFound
from kit.web import counting
from kit.web.declared import declared
from kit.web.peer import Peers


@get("/healthz", operation_id="healthz", summary="The process lives", tags=["health"], media_type=MediaType.TEXT)
async def healthz() -> str:
    return "ok"


@get(
    "/readyz",
    operation_id="readyz",
    summary="The database answers",
    tags=["health"],
    media_type=MediaType.TEXT,
    responses=declared(limited=False),
)
async def readyz(db: NamedDependency[Database]) -> str:
    async with db.begin() as session:
        await session.execute(text("SELECT 1"))
    return "ready"


Reading = Callable[[AsyncSession, datetime], Awaitable[None]]
"""Sets a feature's gauges from the database; the moment is business time."""
_UP = Gauge("database_up", "1 when the database answered at the last look")


class Readings:
    """What features want read from the database when somebody asks for metrics, every other second at most."""

    _REST_S = 2.0

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = readings
        self._read_at = -self._REST_S

    async def take(self, db: Database, clock: Clock) -> None:
        """All of them in one transaction. Without the database the metrics of this process remain."""
        if time.monotonic() - self._read_at < self._REST_S:
            return
        self._read_at = time.monotonic()
        try:
            async with db.begin() as session:
                for reading in self._readings:
                    await reading(session, clock.now())
        except (DatabaseUnavailable, DBAPIError):
            _UP.set(0)
        else:
            _UP.set(1)


@get("/metrics", operation_id="metrics", summary="Prometheus metrics", include_in_schema=False)
async def metrics(
    request: Request[Any, Any, Any],
    peers: NamedDependency[Peers],
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
    readings: NamedDependency[Readings],
) -> Response[bytes]:
    unknown = "x-forwarded-for" in request.headers and peers.network(request.scope) is None
    if unknown or peers.on_the_internet(request.scope) is not None:
        raise NotFound  # it says how much is sold, and is for machines that are known to be ours
    await readings.take(db, clock)
    return Response(counting.text(), media_type=CONTENT_TYPE_LATEST)
