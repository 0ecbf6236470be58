"""Work promised in the caller's transaction and done after its commit (`kit.working`).

A job carries only a reference (a number); what is to be done stands in the row it names. Failing jobs are tried again
with growing gaps, at last parked as `failed`, where operators see them and may set them going again.

The tables are pgqueuer's, and workers are. What stands here are its three statements that the web needs: importing it
for them would cost each server process 12 MiB and a fifth of a second of its start.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from kit import expiry
from kit.errors import NotFound

TABLES = frozenset({"pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics"})
"""pgqueuer's own tables, installed by our migration and left out of `alembic check`."""

_ENQUEUE = text(
    "WITH job AS ("
    "  INSERT INTO pgqueuer (priority, entrypoint, payload, execute_after, dedupe_key, headers, status)"
    "  VALUES (0, :name, convert_to(:reference, 'UTF8'), now() + :after, :dedupe_key, 'null', 'queued')"
    "  ON CONFLICT (dedupe_key) WHERE status IN ('queued', 'picked') AND dedupe_key IS NOT NULL DO NOTHING"
    "  RETURNING id, entrypoint, priority)"
    " INSERT INTO pgqueuer_log (job_id, status, entrypoint, priority)"
    " SELECT id, 'queued', entrypoint, priority FROM job"
)
_FAILED = text(
    "SELECT id, entrypoint, payload, created, updated FROM pgqueuer"
    " WHERE status = 'failed' ORDER BY created DESC LIMIT :limit"
)
_TAKE_FAILED = text(
    "WITH failed AS (DELETE FROM pgqueuer WHERE id = :id AND status = 'failed' RETURNING *), logged AS ("
    "  INSERT INTO pgqueuer_log (job_id, status, entrypoint, priority)"
    "  SELECT id, 'deleted', entrypoint, priority FROM failed)"
    " SELECT id, entrypoint, payload, created, updated FROM failed"
)
_FORGET = text(
    "WITH old AS MATERIALIZED (SELECT id FROM pgqueuer_log WHERE created < now() - make_interval(days => 30)"
    "  ORDER BY created LIMIT :most FOR UPDATE SKIP LOCKED)"
    " DELETE FROM pgqueuer_log WHERE id IN (SELECT id FROM old) RETURNING id"
)


async def enqueue(session: AsyncSession, name: str, reference: str, *, after: timedelta = timedelta()) -> None:
    """Promise job `name` for `reference` in the caller's transaction: a rollback takes it back.

    The same job for the same reference waits only once.
    """
    given = {"name": name, "reference": reference, "after": after, "dedupe_key": f"{name}:{reference}"}
    await session.execute(_ENQUEUE, given)


class FailedJob(msgspec.Struct, frozen=True, rename="camel"):
    """A job that was tried again and again in vain and waits for a person."""

    id: str
    name: str
    reference: str
    created_at: datetime
    failed_at: datetime


class FailedJobNotFound(NotFound):
    """There is no such failed job."""

    zh = "未找到该失败任务"


def _view(job: Row[Any]) -> FailedJob:
    return FailedJob(str(job.id), job.entrypoint, (job.payload or b"").decode(), job.created, job.updated)


async def list_failed(session: AsyncSession, limit: int = 100) -> list[FailedJob]:
    """The dead letters, newest first."""
    return [_view(job) for job in await session.execute(_FAILED, {"limit": limit})]


async def set_going_again(session: AsyncSession, job_id: int) -> FailedJob:
    """Queue a failed job anew, with all its attempts; one that was promised again since goes on instead of it.

    Raises `FailedJobNotFound` (404).
    """
    found = (await session.execute(_TAKE_FAILED, {"id": job_id})).one_or_none()
    if found is None:
        raise FailedJobNotFound
    job = _view(found)
    await enqueue(session, job.name, job.reference)
    return job


async def forget(session: AsyncSession) -> bool:
    """Drop what the queue wrote down more than thirty days ago, so much at a time; nothing else drops it. Is there more?"""
    return len((await session.execute(_FORGET, {"most": expiry.MOST})).all()) == expiry.MOST
