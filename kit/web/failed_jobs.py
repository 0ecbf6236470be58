"""Jobs that were tried in vain: seen by staff, and set going again once the cause is mended."""

from typing import Any

from litestar import Request, get, post
from litestar.di import NamedDependency

from kit import audit, jobs
from kit.clock import Clock
from kit.database import Database
from kit.fields import as_id
from kit.jobs import FailedJob, FailedJobNotFound
from kit.paging import Page
from kit.web.actor import actor_of, requires
from kit.web.declared import STAFF, declared
from kit.web.parameters import PathId


@get(
    "/jobs/failed",
    operation_id="listFailedJobs",
    summary="Jobs that were tried in vain, newest first; a hundred at most",
    guards=[requires("jobs.manage")],
    responses=declared(*STAFF),
)
async def list_failed_jobs(db: NamedDependency[Database]) -> Page[FailedJob]:
    async with db.begin() as session:
        return Page(await jobs.list_failed(session), None)


@post(
    "/jobs/{job_id:str}/retry",
    operation_id="retryJob",
    summary="Set a failed job going again",
    guards=[requires("jobs.manage")],
    responses=declared(*STAFF, FailedJobNotFound),
    status_code=200,
)
async def retry_job(
    request: Request[Any, Any, Any],
    job_id: PathId,
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> FailedJob:
    actor = actor_of(request)
    async with db.begin() as session:
        job = await jobs.set_going_again(session, as_id(job_id))
        await audit.record(
            session,
            at=clock.now(),
            actor=actor.label,
            action="job.retry",
            subject=("job", job.id),
            facts={"name": job.name, "reference": job.reference},
        )
    return job


ROUTES: list[Any] = [list_failed_jobs, retry_job]
