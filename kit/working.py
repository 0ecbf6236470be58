"""Promised jobs (`kit.jobs`) are done, by pgqueuer: what only worker processes and migrations import."""

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

import structlog
from pgqueuer import AsyncpgDriver, DatabaseRetryEntrypointExecutor, PgQueuer
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.models import Job

from kit import hosts

log = structlog.get_logger()

Handler = Callable[[str], Awaitable[None]]
"""Takes the job's reference. Raising means: try again."""

_MAX_ATTEMPTS = 12
_FIRST_DELAY = timedelta(seconds=2)
_LONGEST_DELAY = timedelta(minutes=10)
_LEASE = timedelta(seconds=15)
"""A job whose worker has been silent for so long is taken by another one."""


def install_statements() -> str:
    """The DDL of pgqueuer's tables, for our migration."""
    return QueryBuilderEnvironment().build_install_query()


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
    connection = await hosts.connect(direct_url, command_timeout=10)
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
