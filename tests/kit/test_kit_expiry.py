"""So many at a time, the oldest first, and never what somebody holds."""

from datetime import timedelta
from typing import Any

import pytest

from kit import expiry, idempotency, jobs
from kit.clock import ManualClock
from kit.database import Database

pytestmark = pytest.mark.anyio
_KEY = "INSERT INTO idempotency_key (actor, operation, key, content, started_at) VALUES ('a', 'o', $1, '', $2)"


async def _keys(sql: Any, clock: ManualClock, *hours: int) -> None:
    for age in hours:
        await sql.execute(_KEY, f"{age} h", clock.now() - timedelta(hours=age))


async def test_the_oldest_go_first_and_it_says_when_there_is_no_more(
    db: Database, sql: Any, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "MOST", 2)
    await _keys(sql, clock, 1, 80, 90, 100, 110, 120)
    left = []
    for more in (True, True, False):
        async with db.begin() as session:
            assert await idempotency.sweep(session, clock.now()) is more
        left.append(sorted(await sql.fetchval("SELECT array_agg(key) FROM idempotency_key")))
    assert left == [["1 h", "100 h", "80 h", "90 h"], ["1 h", "80 h"], ["1 h"]]


async def test_what_somebody_holds_is_left_for_the_next_turn(db: Database, sql: Any, clock: ManualClock) -> None:
    await _keys(sql, clock, 80, 90)
    async with sql.transaction():
        await sql.execute("SELECT FROM idempotency_key WHERE key = '90 h' FOR UPDATE")
        async with db.begin() as session:
            await idempotency.sweep(session, clock.now())
    assert await sql.fetchval("SELECT array_agg(key) FROM idempotency_key") == ["90 h"]


async def test_what_the_queue_wrote_down_goes_after_a_month(
    db: Database, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "MOST", 2)
    for days in (1, 31, 32, 33):
        await sql.execute(
            "INSERT INTO pgqueuer_log (created, job_id, status, priority, entrypoint)"
            " VALUES (now() - make_interval(days => $1), $1, 'successful', 0, 'x')",
            days,
        )
    for more in (True, False):
        async with db.begin() as session:
            assert await jobs.forget(session) is more
    assert await sql.fetchval("SELECT array_agg(job_id) FROM pgqueuer_log") == [1]
