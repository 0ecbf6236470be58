"""Asked twice, answered once, and the same."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from kit import idempotency
from kit.clock import ManualClock
from kit.database import Database
from kit.errors import Conflict, Unavailable
from kit.idempotency import Intent, KeyReused, StillRunning, intent


async def _once(db: Database, clock: ManualClock, body: Any, calls: list[int], key: str = "key-00001") -> int:
    async with db.begin() as session:

        async def work() -> int:
            calls.append(1)
            await asyncio.sleep(0.05)
            return len(calls)

        return await idempotency.once(session, intent("member:1", "op", key, body), clock.now(), work, int)


async def test_ten_at_once_do_it_once(db: Database, clock: ManualClock) -> None:
    calls: list[int] = []
    answers = await asyncio.gather(*(_once(db, clock, {"a": 1, "b": 2}, calls) for _ in range(8)))
    assert answers == [1] * 8
    assert len(calls) == 1


async def test_key_order_does_not_matter_but_content_does(db: Database, clock: ManualClock) -> None:
    calls: list[int] = []
    await _once(db, clock, {"a": 1, "b": 2}, calls)
    assert await _once(db, clock, {"b": 2, "a": 1}, calls) == 1
    with pytest.raises(KeyReused):
        await _once(db, clock, {"a": 1, "b": 3}, calls)
    assert len(calls) == 1


async def test_a_refusal_frees_the_key(db: Database, clock: ManualClock) -> None:
    async def refused(*_: bool) -> int:
        raise Conflict

    wish = intent("member:1", "op", "key-00001", None)
    with pytest.raises(Conflict):
        async with db.begin() as session:
            await idempotency.once(session, wish, clock.now(), refused, int)
    with pytest.raises(Conflict):
        await idempotency.through(db, wish, clock.now(), refused, int)
    assert await _once(db, clock, None, []) == 1


async def test_what_is_answered_late_is_no_answer_to_another_wish(db: Database, clock: ManualClock) -> None:
    """The first was taken over by who was refused, which freed the key; then it was used for something else."""
    first_wish, other_wish = (intent("member:1", "op", "key-00001", body) for body in ("first", "other"))
    entered, leave = [asyncio.Event(), asyncio.Event()], [asyncio.Event(), asyncio.Event()]

    def waiting(number: int) -> Callable[[bool], Awaitable[int]]:
        async def work(_again: bool) -> int:
            entered[number].set()
            await leave[number].wait()
            return number

        return work

    async def refused(_again: bool) -> int:
        raise Conflict

    first = asyncio.create_task(idempotency.through(db, first_wish, clock.now(), waiting(0), int))
    await entered[0].wait()
    clock.advance(timedelta(seconds=idempotency.TAKEOVER_S + 1))
    with pytest.raises(Conflict):
        await idempotency.through(db, first_wish, clock.now(), refused, int)
    other = asyncio.create_task(idempotency.through(db, other_wish, clock.now(), waiting(1), int))
    await entered[1].wait()
    leave[0].set()
    assert await first == 0
    leave[1].set()
    assert await other == 1
    assert await idempotency.through(db, other_wish, clock.now(), refused, int) == 1


@pytest.mark.parametrize("outcome", [Unavailable, ZeroDivisionError])
async def test_an_unknown_outcome_keeps_the_key_for_the_same_wish(
    db: Database, clock: ManualClock, outcome: type[Exception]
) -> None:
    """What was begun may have been done: the next try is told so, and other content is still refused."""
    told: list[bool] = []

    async def lost(again: bool) -> int:
        told.append(again)
        raise outcome

    async def done(again: bool) -> int:
        told.append(again)
        return 5

    wish = intent("member:1", "op", "key-00001", None)
    with pytest.raises(outcome):
        await idempotency.through(db, wish, clock.now(), lost, int)
    with pytest.raises(KeyReused):
        await idempotency.through(db, intent("member:1", "op", "key-00001", 1), clock.now(), done, int)
    assert await idempotency.through(db, wish, clock.now(), done, int) == 5
    assert told == [False, True]


async def test_two_at_it_after_a_takeover_answer_the_same(db: Database, clock: ManualClock) -> None:
    """The first was slow, not dead: whoever finishes first has the answer that both give."""
    wish = intent("member:1", "op", "key-00001", None)
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(_again: bool) -> int:
        entered.set()
        await leave.wait()
        return 1

    async def quick(_again: bool) -> int:
        return 2

    first = asyncio.create_task(idempotency.through(db, wish, clock.now(), slow, int))
    await entered.wait()
    clock.advance(timedelta(seconds=idempotency.TAKEOVER_S + 1))
    assert await idempotency.through(db, wish, clock.now(), quick, int) == 2
    leave.set()
    assert await first == 2


async def test_who_was_taken_over_and_is_refused_frees_nobody_elses_key(db: Database, clock: ManualClock) -> None:
    """The second one is at WeChat; a third must not come in as if it were the first."""
    wish = intent("member:1", "op", "key-00001", None)
    entered = [asyncio.Event(), asyncio.Event()]
    leave = [asyncio.Event(), asyncio.Event()]

    async def refused(_again: bool) -> int:
        entered[0].set()
        await leave[0].wait()
        raise Conflict

    async def slow(_again: bool) -> int:
        entered[1].set()
        await leave[1].wait()
        return 2

    first = asyncio.create_task(idempotency.through(db, wish, clock.now(), refused, int))
    await entered[0].wait()
    clock.advance(timedelta(seconds=idempotency.TAKEOVER_S + 1))
    second = asyncio.create_task(idempotency.through(db, wish, clock.now(), slow, int))
    await entered[1].wait()
    leave[0].set()
    with pytest.raises(Conflict):
        await first
    try:
        with pytest.raises(StillRunning):
            await idempotency.through(db, wish, clock.now(), refused, int)
    finally:
        leave[1].set()
    assert await second == 2


async def test_of_two_who_take_a_dead_key_over_one_does_the_work(db: Database, clock: ManualClock, sql: Any) -> None:
    wish = intent("member:1", "op", "key-00001", None)
    await _claimed_by_the_dead(sql, wish, clock)
    clock.advance(timedelta(seconds=idempotency.TAKEOVER_S + 1))
    told: list[bool] = []

    async def work(again: bool) -> int:
        told.append(again)
        return 3

    async with sql.transaction():
        await sql.execute("SELECT FROM idempotency_key FOR UPDATE")
        both = [asyncio.create_task(idempotency.through(db, wish, clock.now(), work, int)) for _ in range(2)]
        async with asyncio.timeout(10):
            while await sql.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") < len(both):
                await asyncio.sleep(0.01)
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert told == [True]
    assert all(answer == 3 or isinstance(answer, StillRunning) for answer in answers), answers


async def test_through_is_kept_and_in_flight_is_409(db: Database, clock: ManualClock) -> None:
    wish = intent("member:1", "op", "key-00001", None)
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(_again: bool) -> int:
        entered.set()
        await leave.wait()
        return 7

    first = asyncio.create_task(idempotency.through(db, wish, clock.now(), slow, int))
    await entered.wait()
    try:
        with pytest.raises(StillRunning):
            await asyncio.wait_for(idempotency.through(db, wish, clock.now(), slow, int), timeout=10)
    finally:
        leave.set()
    assert await first == 7
    assert await idempotency.through(db, wish, clock.now(), slow, int) == 7


async def _claimed_by_the_dead(sql: Any, wish: Intent, clock: ManualClock) -> None:
    await sql.execute(
        "INSERT INTO idempotency_key (actor, operation, key, content, started_at) VALUES ($1, $2, $3, $4, $5)",
        wish.actor,
        wish.operation,
        wish.key,
        wish.content,
        clock.now(),
    )


async def test_a_key_left_by_a_dead_process_is_taken_over(db: Database, clock: ManualClock, sql: Any) -> None:
    wish = intent("member:1", "op", "key-00001", None)
    await _claimed_by_the_dead(sql, wish, clock)

    async def work(again: bool) -> int:
        assert again
        return 3

    with pytest.raises(StillRunning):
        await idempotency.through(db, wish, clock.now(), work, int)
    clock.advance(timedelta(seconds=idempotency.TAKEOVER_S + 1))
    assert await idempotency.through(db, wish, clock.now(), work, int) == 3


async def test_an_answer_is_kept_for_three_days(db: Database, clock: ManualClock) -> None:
    """A whole weekend, and then it is dropped."""
    calls: list[int] = []
    await _once(db, clock, None, calls)
    for hours, done in ((72, 1), (2, 2)):
        clock.advance(timedelta(hours=hours))
        async with db.begin() as session:
            await idempotency.sweep(session, clock.now())
        await _once(db, clock, None, calls)
        assert len(calls) == done
