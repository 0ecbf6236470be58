"""What an alarm should look at beside payments' own gauges: deadlines, jobs, refunds, bills, the last audit, the archive.

Read when they are scraped, in one statement; each part by an index or from a table of a few rows, whatever the shop's age.
`deploy/alerts.yaml` has rules for them, `docs/runbook.md` what to do.
"""

from datetime import datetime
from math import inf
from typing import Final

from prometheus_client import Gauge
from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from kit.database import Instant

AUDITED: Final = "books.audit"
"""The action under which `python -m shop audit --record` writes down what it found, in the audit's own log."""
BOOKS: Final = ("books", "all")

_WORKERS = Gauge("workers_connected", "Connections of workers to the database; none: no worker runs")
_FAILED = Gauge("jobs_failed", "Jobs that were tried in vain and wait for a person; counted up to 1000")
_JOB_AGE = Gauge("jobs_waiting_oldest_seconds", "How long the oldest job that could run has waited")
_OVERDUE = Gauge("deadlines_overdue_seconds", "How long the oldest deadline has been over and not seen to", ["of"])
_REFUNDS = Gauge("refunds_waiting", "Refunds that are promised and not done", ["state"])
_REFUND_AGE = Gauge("refunds_waiting_oldest_seconds", "Age of the oldest of them; 0 when there is none", ["state"])
_BILLS = Gauge("bill_days_not_agreed", "Days whose bills ought to be in and do not agree, or are not in")
_BROKEN = Gauge("audit_broken_invariants", "How many invariants were broken at the last recorded audit")
_AUDIT_AGE = Gauge("audit_age_seconds", "Time since the last recorded audit; +Inf when there was none")
_ARCHIVING = Gauge("wal_archive_on", "1 when the database archives its log, so that it can be restored to a second")
_ARCHIVE_FAILS = Gauge("wal_archive_failing", "1 when the last attempt to archive a piece of the log failed")

_UNDONE: Final = ("waiting", "requested", "processing", "abnormal")
_LATE: Final = {
    "orders": "SELECT min(close_at) FROM orders WHERE state IN ('unpaid', 'closing')",
    "payments": "SELECT min(check_at) FROM payment WHERE state IN ('opening', 'open')",
    "refunds": "SELECT min(check_at) FROM refund WHERE state IN ('requested', 'processing', 'abnormal')",
    "notices": "SELECT min(retry_at) FROM notice WHERE handled_at IS NULL",
}
_READ = text(
    f"""
    SELECT (SELECT count(DISTINCT pid) FROM pg_stat_activity WHERE application_name = 'shop-worker'),
        (SELECT count(*) FROM (SELECT 1 FROM pgqueuer WHERE status = 'failed' LIMIT 1000) f),
        (SELECT coalesce(extract(epoch FROM now() - min(execute_after)), 0) FROM pgqueuer
         WHERE status = 'queued' AND execute_after <= now()),
        {", ".join(f"({late})" for late in _LATE.values())},
        (SELECT count(*) FROM bill_day
         WHERE state <> 'agreed' AND day < (CAST(:now AS timestamptz) AT TIME ZONE 'Asia/Shanghai')::date - 1),
        (SELECT ROW(at, jsonb_array_length(facts -> 'broken')) FROM audit_entry
         WHERE subject_kind = '{BOOKS[0]}' AND subject = '{BOOKS[1]}' ORDER BY id DESC LIMIT 1),
        (SELECT current_setting('archive_mode') <> 'off'),
        (SELECT coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) FROM pg_stat_archiver)
    """  # noqa: S608  (only our own constants)
).bindparams(bindparam("now", type_=Instant))
_WAITING = text(
    f"""SELECT state, count(*), min(requested_at) FROM refund
    WHERE state IN ({", ".join(f"'{state}'" for state in _UNDONE)}) GROUP BY state"""  # noqa: S608
)


async def read(session: AsyncSession, now: datetime) -> None:
    """Set the gauges from the database; `now` is business time."""
    workers, failed, job_age_s, *rest = (await session.execute(_READ, {"now": now})).one()
    late, (bills, audited, archives, fails) = rest[: len(_LATE)], rest[len(_LATE) :]
    _WORKERS.set(workers)
    _FAILED.set(failed)
    _JOB_AGE.set(job_age_s)
    for of, due in zip(_LATE, late, strict=True):
        _OVERDUE.labels(of).set(_age_s(due, now))
    _BILLS.set(bills)
    _AUDIT_AGE.set(_age_s(audited[0], now) if audited else inf)
    _BROKEN.set(audited[1] if audited else 0)
    _ARCHIVING.set(archives)
    _ARCHIVE_FAILS.set(fails)
    waiting = {state: (count, oldest) for state, count, oldest in await session.execute(_WAITING)}
    for state in _UNDONE:
        count, oldest = waiting.get(state, (0, None))
        _REFUNDS.labels(state).set(count)
        _REFUND_AGE.labels(state).set(_age_s(oldest, now))


def _age_s(since: datetime | None, now: datetime) -> float:
    return max((now - since).total_seconds(), 0) if since else 0
