"""What has ended is dropped, and what lives stays."""

from datetime import timedelta
from typing import Any

import pytest

from kit.clock import ManualClock
from kit.database import Database
from shop.admin import sessions

pytestmark = pytest.mark.anyio


async def test_a_session_that_was_ended_expires_with_it(
    ann: Any, ben: Any, db: Database, clock: ManualClock, sql: Any
) -> None:
    async with db.begin() as session:
        tokens = [await sessions.open_one(session, int(ann.id), clock.now()) for _ in range(2)]
    clock.advance(timedelta(minutes=1))
    async with db.begin() as session:
        await sessions.end(session, tokens[0], clock.now())
        await sessions.end_all(session, int(ann.id), clock.now(), but=ann.token)
    ended = await sql.fetch("SELECT expires_at FROM staff_session WHERE revoked_at IS NOT NULL")
    assert [row["expires_at"] for row in ended] == [clock.now()] * 2
    async with db.begin() as session:
        assert await sessions.sweep(session, clock.now()) is False
    left = await sql.fetch("SELECT staff_id FROM staff_session ORDER BY staff_id")
    assert [row["staff_id"] for row in left] == [int(ann.id), int(ben.id)]
