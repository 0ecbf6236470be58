"""What has moved is seen in whatever order it is committed; where the log's end cannot be trusted nothing is vouched for."""

import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from catalog import flow as flows
from catalog.flow import Flow
from dev.postgres import Cluster
from kit.database import Database
from kit.errors import Problem

pytestmark = pytest.mark.anyio
MOVE = """
    WITH held AS MATERIALIZED (SELECT pg_current_xact_id())
    INSERT INTO stock_move (sku_id, location_id, delta_available, delta_reserved, delta_sold, reason, ref, actor, at)
    SELECT $1, 1, -1, 1, 0, 'reserve', '', 'test', now() FROM held
"""


@pytest.fixture
async def flow(db: Database, sql: Any) -> Flow:
    """One that has begun, on a log that has begun."""
    for _ in range(3):
        await sql.execute(MOVE, 99)
    made = Flow(db)
    await made.look()
    assert made.holds((1, 2), time.monotonic())
    return made


@pytest.fixture
async def other(clean: Cluster) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(clean.owner_url())
    yield connection
    await connection.close()


async def test_what_moved_no_longer_holds_and_the_rest_does(flow: Flow, sql: Any) -> None:
    read_at = time.monotonic()
    await sql.execute(MOVE, 1)
    await flow.look()
    assert not flow.holds((1, 2), read_at)
    assert flow.holds((2, 3), read_at)


async def test_what_is_read_afterwards_holds_until_it_moves_again(flow: Flow, sql: Any) -> None:
    await sql.execute(MOVE, 1)
    await flow.look()
    read_at = time.monotonic()
    await flow.look()
    assert flow.holds((1,), read_at), "a move counts once, however often it is read"
    await sql.execute(MOVE, 1)
    await flow.look()
    assert not flow.holds((1,), read_at)


async def test_what_is_committed_late_under_a_lower_number_is_seen(flow: Flow, sql: Any, other: Any) -> None:
    read_at = time.monotonic()
    async with other.transaction():
        await other.execute(MOVE, 1)
        for _ in range(3):
            await sql.execute(MOVE, 2)
            await flow.look()
        assert flow.holds((1,), read_at)
    await flow.look()
    assert not flow.holds((1,), read_at)
    read_at = time.monotonic()
    for _ in range(3):
        await flow.look()
    assert flow.holds((1, 2), read_at)


async def test_nothing_is_vouched_for_before_those_have_ended_who_had_begun(db: Database, sql: Any, other: Any) -> None:
    flow = Flow(db)
    async with other.transaction():
        await other.execute(MOVE, 1)
        await sql.execute(MOVE, 2)
        await flow.look()
        assert not flow.holds((1,), time.monotonic())
    await flow.look()
    assert flow.holds((1,), time.monotonic())


async def test_a_log_that_was_emptied_is_begun_anew(flow: Flow, sql: Any) -> None:
    read_at = time.monotonic()
    await sql.execute("TRUNCATE stock_move RESTART IDENTITY")
    await sql.execute(MOVE, 1)
    await flow.look()
    assert not flow.holds((1,), read_at)
    await flow.look()
    assert not flow.holds((1,), read_at)
    assert flow.holds((1,), time.monotonic())


async def test_more_moves_than_are_read_at_once_break_it(flow: Flow, sql: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read_at = time.monotonic()
    monkeypatch.setattr(flows, "_MOST", 5)
    for sku in range(1, 10):
        await sql.execute(MOVE, sku)
    await flow.look()
    assert not flow.holds((77,), read_at)
    await flow.look()
    assert flow.holds((77,), time.monotonic())


async def test_without_the_database_it_says_so_and_goes_on_afterwards(clean: Cluster) -> None:
    away = Database("postgresql://nobody@127.0.0.1:9/none", pool_size=1, name="test")
    flow = Flow(away)
    with pytest.raises(Problem):
        await flow.look()
    assert not flow.expected
    assert not flow.holds((1,), time.monotonic())
    await away.close()
