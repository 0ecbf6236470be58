"""Asks that wait at the same moment are dealt with together, and nobody bears another's fault."""

import asyncio
from collections.abc import Sequence

import pytest

from kit import batching
from kit.batching import Batching, Waiting
from kit.database import DatabaseUnavailable

pytestmark = pytest.mark.anyio
Batch = Sequence[Waiting[str, str]]


class Desk:
    """Deals with batches when it is let to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open = asyncio.Event()

    async def deal(self, batch: Batch) -> None:
        self.batches.append([one.ask for one in batch])
        await self.open.wait()
        for one in batch:
            if one.ask.endswith("wrong"):
                one.refuse(LookupError(one.ask))
            elif not one.ask.endswith("forgotten"):
                one.tell(one.ask.upper())


async def _asked(desk: Desk, at: "Batching[str, str]", *asks: str) -> list[object]:
    tasks = [asyncio.create_task(at.do(ask)) for ask in asks]
    await asyncio.sleep(0.01)
    desk.open.set()
    return list(await asyncio.gather(*tasks, return_exceptions=True))


async def test_those_who_wait_at_the_same_moment_are_one_batch() -> None:
    desk = Desk()
    answers = await _asked(desk, Batching(desk.deal, owner=lambda ask: ask, at_once=1), "a", "b", "c")
    assert answers == ["A", "B", "C"]
    assert desk.batches == [["a", "b", "c"]]


async def test_an_error_is_told_to_whom_it_concerns() -> None:
    desk = Desk()
    answers = await _asked(desk, Batching(desk.deal, owner=lambda ask: ask), "a", "b wrong", "c forgotten")
    assert answers[0] == "A"
    assert isinstance(answers[1], LookupError)
    assert isinstance(answers[2], DatabaseUnavailable)


async def test_what_fails_as_a_whole_is_told_to_all_and_the_next_batch_goes_on() -> None:
    calls = 0

    async def deal(batch: Batch) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ZeroDivisionError
        for one in batch:
            one.tell("fine")

    at = Batching(deal, owner=lambda ask: ask)
    first = await asyncio.gather(at.do("a"), at.do("b"), return_exceptions=True)
    assert [type(answer) for answer in first] == [ZeroDivisionError, ZeroDivisionError]
    assert await at.do("c") == "fine"


async def test_what_somebody_asks_for_second_is_decided_after_the_first() -> None:
    desk = Desk()
    at = Batching(desk.deal, owner=lambda ask: ask[0], at_once=4)
    assert await _asked(desk, at, "a1", "b1", "a2", "a3", "b2") == ["A1", "B1", "A2", "A3", "B2"]
    places = {ask: number for number, batch in enumerate(desk.batches) for ask in batch}
    assert places["a1"] < places["a2"] < places["a3"]
    assert all(len({ask[0] for ask in batch}) == len(batch) for batch in desk.batches)


async def test_what_was_begun_is_done_for_whoever_went_away() -> None:
    desk = Desk()
    task = asyncio.create_task(Batching(desk.deal, owner=lambda ask: ask).do("a"))
    await asyncio.sleep(0.01)
    task.cancel()
    desk.open.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert desk.batches == [["a"]]


async def test_a_rush_leaves_others_their_turn() -> None:
    """Two hundred want one thing; who wants another waits for no more than the batch that is under way."""
    done: list[str] = []

    async def deal(batch: Batch) -> None:
        await asyncio.sleep(0.001)
        done.extend(one.ask for one in batch)
        for one in batch:
            one.tell("")

    at = Batching(deal, owner=lambda ask: ask, crowd=lambda ask: ask.split()[0], most=10, at_once=1)
    rush = [asyncio.create_task(at.do(f"hot {number}")) for number in range(200)]
    await asyncio.sleep(0)
    others = [asyncio.create_task(at.do(f"cold{number} 1")) for number in range(5)]
    await asyncio.gather(*others)
    assert len([ask for ask in done if ask.startswith("hot")]) <= 30
    await asyncio.gather(*rush)
    assert len(done) == 205


async def test_too_many_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_QUEUE", 2)
    desk = Desk()
    answers = await _asked(desk, Batching(desk.deal, owner=lambda ask: ask), "a", "b", "c")
    assert answers[:2] == ["A", "B"]
    assert isinstance(answers[2], DatabaseUnavailable)


async def test_what_is_asked_while_the_last_batch_ends_is_dealt_with() -> None:
    """Others run between the last step of a lane and the callbacks of its end; what they asked was nobody's, for ever."""
    at: Batching[str, str]
    late: list[asyncio.Task[str]] = []

    async def deal(batch: Batch) -> None:
        if not late:
            late.append(asyncio.create_task(at.do("late")))
        for one in batch:
            one.tell(one.ask.upper())

    at = Batching(deal, owner=lambda ask: ask, at_once=1)
    assert await at.do("first") == "FIRST"
    async with asyncio.timeout(5):
        assert await late[0] == "LATE"
