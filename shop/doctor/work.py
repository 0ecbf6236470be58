"""Is the work done? A worker lives, nothing is overdue, no job lies dead, nobody overlooks an alarm."""

from datetime import datetime
from typing import Any

from payments.cases import ALARMS
from shop.doctor.findings import Finding, ok, warning, wrong

_LAG_WARNS_S = 60
_LAG_FAILS_S = 600
_WORKERS = "SELECT count(DISTINCT pid) FROM pg_stat_activity WHERE application_name = 'shop-worker'"
_QUEUE = """
    SELECT coalesce(extract(epoch FROM now() - min(execute_after)), 0)::float8
    FROM pgqueuer WHERE status = 'queued' AND execute_after <= now()"""
_FAILED = "SELECT count(*) FROM pgqueuer WHERE status = 'failed'"
_OVERDUE = """
    SELECT coalesce(extract(epoch FROM $1 - least(
        (SELECT min(close_at) FROM orders WHERE state IN ('unpaid', 'closing')),
        (SELECT min(check_at) FROM payment WHERE state IN ('opening', 'open')),
        (SELECT min(check_at) FROM refund WHERE state IN ('requested', 'processing')),
        (SELECT min(retry_at) FROM notice WHERE handled_at IS NULL)
    )), 0)::float8"""
_NOTICES = "SELECT count(*), min(received_at) AS since FROM notice WHERE handled_at IS NULL AND retry_at < $1"
_CASES = "SELECT kind, count(*) AS n FROM payment_exception WHERE resolved_at IS NULL GROUP BY 1 ORDER BY 1"


async def look(connection: Any, now: datetime) -> list[Finding]:
    """`now` is business time, by which deadlines are counted."""
    return [await _worker(connection), await _deadlines(connection, now), *await _left(connection, now)]


async def _worker(connection: Any) -> Finding:
    about = "worker"
    workers = await connection.fetchval(_WORKERS)
    lag_s = await connection.fetchval(_QUEUE)
    if not workers:
        todo = "Start one: `python -m shop work`. Without it no order times out, and no refund goes out."
        return wrong(about, "no worker is connected to the database", todo)
    if lag_s > _LAG_FAILS_S:
        return wrong(
            about, f"the oldest job waits for {lag_s:.0f} s", "See the worker's log: it lives and does nothing."
        )
    if lag_s > _LAG_WARNS_S:
        return warning(about, f"the oldest job waits for {lag_s:.0f} s", "Start a second `python -m shop work`.")
    return ok(about, f"it lives; the oldest waiting job is {lag_s:.0f} s old")


async def _deadlines(connection: Any, now: datetime) -> Finding:
    about, late_s = "deadlines", await connection.fetchval(_OVERDUE, now)
    seen = f"the longest overdue deadline passed {late_s:.0f} s ago" if late_s > 0 else "none is overdue"
    if late_s > _LAG_FAILS_S:
        return wrong(about, seen, "See the worker's log for `sweep failed`.")
    return warning(about, seen, "See that the worker keeps up.") if late_s > _LAG_WARNS_S else ok(about, seen)


async def _left(connection: Any, now: datetime) -> list[Finding]:
    """What machines gave up on, or leave to people."""
    found = []
    failed = await connection.fetchval(_FAILED)
    if failed:
        todo = "Look at them at /admin/v1/jobs/failed, mend the cause, set them going again."
        found.append(wrong("failed jobs", f"{failed} were tried in vain and wait for a person", todo))
    notices = await connection.fetchrow(_NOTICES, now)
    if notices["count"]:
        todo = "See the log for `notice`; they are tried again by themselves once the cause is mended."
        found.append(
            wrong("notices kept", f"{notices['count']} not handled, since {notices['since']:%Y-%m-%d %H:%M}", todo)
        )
    cases = {row["kind"]: row["n"] for row in await connection.fetch(_CASES)}
    alarms = {kind: n for kind, n in cases.items() if kind in ALARMS}
    named = ", ".join(f"{n} × {kind}" for kind, n in (alarms or cases).items())
    if alarms:
        found.append(wrong("alarms", named, "Somebody must look now: /admin/v1/payment-exceptions?openOnly=true."))
    elif cases:
        found.append(warning("exceptions", named, "Decide them: /admin/v1/payment-exceptions?openOnly=true."))
    return found or [ok("left to people", "nothing: no failed job, no notice unhandled, no open case")]
