"""What has moved is seen in whatever order it is committed; where the log's end cannot be trusted nothing is vouched for."""

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
    assert made.moved((1, 2), made.turn) == ()
    return made


@pytest.fixture
async def other(clean: Cluster) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(clean.owner_url())
    yield connection
    await connection.close()


async def test_what_moved_no_longer_holds_and_the_rest_does(flow: Flow, sql: Any) -> None:
    turn = flow.turn
    await sql.execute(MOVE, 1)
    await flow.look()
    assert flow.moved((1, 2), turn) == {1}
    assert not flow.moved((2, 3), turn)


async def test_what_is_read_afterwards_holds_until_it_moves_again(flow: Flow, sql: Any) -> None:
    await sql.execute(MOVE, 1)
    await flow.look()
    turn = flow.turn
    await flow.look()
    assert flow.moved((1,), turn) == set(), "a move counts once, however often it is read"
    await sql.execute(MOVE, 1)
    await flow.look()
    assert flow.moved((1,), turn) == {1}


async def test_what_is_committed_late_under_a_lower_number_is_seen(flow: Flow, sql: Any, other: Any) -> None:
    turn = flow.turn
    async with other.transaction():
        await other.execute(MOVE, 1)
        for _ in range(3):
            await sql.execute(MOVE, 2)
            await flow.look()
        assert flow.moved((1,), turn) == ()
    await flow.look()
    assert flow.moved((1,), turn) == {1}
    turn = flow.turn
    for _ in range(3):
        await flow.look()
    assert flow.moved((1, 2), turn) == set()


async def test_nothing_is_vouched_for_before_those_have_ended_who_had_begun(db: Database, sql: Any, other: Any) -> None:
    flow = Flow(db)
    async with other.transaction():
        await other.execute(MOVE, 1)
        await sql.execute(MOVE, 2)
        await flow.look()
        assert flow.moved((1,), flow.turn) is None
    await flow.look()
    assert flow.moved((1,), flow.turn) is not None


async def test_a_log_that_was_emptied_is_begun_anew(flow: Flow, sql: Any) -> None:
    turn = flow.turn
    await sql.execute("TRUNCATE stock_move RESTART IDENTITY")
    await sql.execute(MOVE, 1)
    await flow.look()
    assert flow.moved((1,), turn) is None
    await flow.look()
    assert flow.moved((1,), turn) is None
    assert flow.moved((1,), flow.turn) is not None


async def test_more_moves_than_are_read_at_once_break_it(flow: Flow, sql: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = flow.turn
    monkeypatch.setattr(flows, "_MOST", 5)
    for sku in range(1, 10):
        await sql.execute(MOVE, sku)
    await flow.look()
    assert flow.moved((77,), turn) is None
    assert flow.pieces == {}
    await flow.look()
    assert flow.moved((77,), flow.turn) is not None


async def _sold(sql: Any, *skus: int) -> None:
    """One piece each, and its entry in the log."""
    for sku in skus:
        await sql.execute("UPDATE stock SET available = available - 1 WHERE sku_id = $1", sku)
        await sql.execute(MOVE, sku)


@pytest.fixture
async def skus(stocked: Any) -> list[int]:
    """Three of one product and one of another, five pieces of each."""
    return [*await stocked(5, 5, 5), *await stocked(5)]


async def test_what_moved_is_read_with_what_is_sold_beside_it(skus: list[int], flow: Flow, sql: Any) -> None:
    await _sold(sql, skus[0])
    await flow.look()
    assert flow.pieces == {skus[0]: 4, skus[1]: 5, skus[2]: 5}
    await _sold(sql, skus[1], skus[3])
    await flow.look()
    assert flow.pieces == {skus[0]: 4, skus[1]: 4, skus[2]: 5, skus[3]: 4}


async def test_of_too_many_that_moved_nothing_older_is_kept(
    skus: list[int], flow: Flow, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _sold(sql, skus[0])
    await flow.look()
    monkeypatch.setattr(flows, "_FEW", 1)
    turn = flow.turn
    await _sold(sql, skus[0], skus[3])
    await flow.look()
    assert flow.moved(skus, turn) == {skus[0], skus[3]}
    assert flow.pieces == {skus[1]: 5, skus[2]: 5}


async def test_what_is_remembered_is_a_little_and_what_moved_last(
    skus: list[int], stocked: Any, flow: Flow, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows, "_HELD", 0)
    await _sold(sql, skus[0])
    await flow.look()
    await _sold(sql, skus[3])
    await flow.look()
    assert flow.pieces == {skus[0]: 4, skus[1]: 5, skus[2]: 5, skus[3]: 4}
    (third,) = await stocked(5)
    await flow.look()
    assert flow.pieces == {skus[3]: 4, third: 5}


async def test_without_the_database_it_says_so_and_goes_on_afterwards(clean: Cluster) -> None:
    away = Database("postgresql://nobody@127.0.0.1:9/none", pool_size=1, name="test")
    flow = Flow(away)
    with pytest.raises(Problem):
        await flow.look()
    assert not flow.expected
    assert flow.moved((1,), flow.turn) is None
    await away.close()
