"""Work promised in the caller's transaction and done after its commit, by pgqueuer.

A job carries only a reference (a number); what is to be done stands in the row it names. Failing jobs are tried again
with growing gaps, at last parked as `failed`, where operators see them and may set them going again.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

import asyncpg
import msgspec
import structlog
from pgqueuer import AsyncpgDriver, DatabaseRetryEntrypointExecutor, JobId, PgQueuer, Queries
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.models import Job
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession

from kit.database import raw
from kit.errors import NotFound

log = structlog.get_logger()

Handler = Callable[[str], Awaitable[None]]
"""Takes the job's reference. Raising means: try again."""

TABLES = frozenset({"pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics"})
"""pgqueuer's own tables, installed by our migration and left out of `alembic check`."""

_MAX_ATTEMPTS = 12
_FIRST_DELAY = timedelta(seconds=2)
_LONGEST_DELAY = timedelta(minutes=10)
_LEASE = timedelta(seconds=15)
"""A job whose worker has been silent for so long is taken by another one."""


def install_statements() -> str:
    """The DDL of pgqueuer's tables, for our migration."""
    return QueryBuilderEnvironment().build_install_query()


async def enqueue(session: AsyncSession, name: str, reference: str, *, after: timedelta | None = None) -> None:
    """Promise job `name` for `reference` in the caller's transaction: a rollback takes it back.

    The same job for the same reference waits only once.
    """
    queries = Queries(AsyncpgDriver(await raw(session)))
    await queries.enqueue(
        name, reference.encode(), execute_after=after, dedupe_key=f"{name}:{reference}", on_conflict="skip"
    )


class FailedJob(msgspec.Struct, frozen=True, rename="camel"):
    """A job that was tried `_MAX_ATTEMPTS` times in vain and waits for a person."""

    id: str
    name: str
    reference: str
    created_at: datetime
    failed_at: datetime


class FailedJobNotFound(NotFound):
    """There is no such failed job."""

    zh = "未找到该失败任务"


async def list_failed(session: AsyncSession, limit: int = 100) -> list[FailedJob]:
    """The dead letters, newest first."""
    jobs = await Queries(AsyncpgDriver(await raw(session))).list_failed_jobs(limit)
    return [FailedJob(str(j.id), j.entrypoint, (j.payload or b"").decode(), j.created, j.updated) for j in jobs]


async def set_going_again(session: AsyncSession, job_id: int) -> FailedJob:
    """Queue a failed job anew, with all its attempts. Raises `FailedJobNotFound` (404)."""
    found = next((job for job in await list_failed(session, limit=10_000) if job.id == str(job_id)), None)
    if found is None:
        raise FailedJobNotFound
    await Queries(AsyncpgDriver(await raw(session))).requeue_jobs([JobId(job_id)])
    return found


async def _run(name: str, handler: Handler, job: Job) -> None:
    """One job, one canonical line."""
    reference = (job.payload or b"").decode()
    started = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(job=name, reference=reference, attempt=job.attempts)
    outcome = "failed"
    try:
        await handler(reference)
        outcome = "done"
    finally:
        log.info("job", outcome=outcome, ms=round((time.perf_counter() - started) * 1000, 1))


async def work(direct_url: str, handlers: dict[str, Handler], *, started: Callable[[PgQueuer], None]) -> None:
    """Work on jobs until the `PgQueuer` that `started` receives is shut down.

    `direct_url` is a connection that may LISTEN (not through a transaction pooler).
    """
    connection = await asyncpg.connect(_plain(direct_url), timeout=5, command_timeout=10)
    try:
        queuer = PgQueuer(AsyncpgDriver(connection))
        for name, handler in handlers.items():
            executor = partial(
                DatabaseRetryEntrypointExecutor,
                max_attempts=_MAX_ATTEMPTS,
                initial_delay=_FIRST_DELAY,
                max_delay=_LONGEST_DELAY,
            )
            queuer.entrypoint(name, executor_factory=executor, on_failure="hold", accepts_context=False)(
                partial(_run, name, handler)
            )
        started(queuer)
        await queuer.run(dequeue_timeout=timedelta(seconds=5), heartbeat_timeout=_LEASE)
    finally:
        await connection.close(timeout=2)


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
