"""`/healthz`: the process lives. `/readyz`: it can serve. `/metrics`: Prometheus, for loopback and the private network."""

from litestar import MediaType, Response, get
from litestar.di import NamedDependency
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from kit.database import Database
from kit.web.declared import declared


@get("/healthz", operation_id="healthz", summary="The process lives", tags=["health"], media_type=MediaType.TEXT)
async def healthz() -> str:
    return "ok"


@get(
    "/readyz",
    operation_id="readyz",
    summary="The database answers",
    tags=["health"],
    media_type=MediaType.TEXT,
    responses=declared(),
)
async def readyz(db: NamedDependency[Database]) -> str:
    async with db.begin() as session:
        await session.execute(text("SELECT 1"))
    return "ready"


@get("/metrics", operation_id="metrics", summary="Prometheus metrics", include_in_schema=False)
async def metrics() -> Response[bytes]:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
