"""Look-ups that are asked at about the same time are one; each gets its own answer, and nobody another's failure later."""

import asyncio
from collections.abc import Mapping

import pytest

from kit.gathering import Gathering

pytestmark = pytest.mark.anyio


class Shop:
    """Answers when it is let to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.open = asyncio.Event()
        self.broken = False

    async def look(self, keys: list[int]) -> Mapping[int, str]:
        self.asked.append(keys)
        await self.open.wait()
        if self.broken:
            raise OSError("away")
        return {key: f"#{key}" for key in keys if key < 100}


@pytest.fixture
def shop() -> Shop:
    return Shop()


async def _begun(*asks: "asyncio.Task[str | None]") -> None:
    await asyncio.sleep(0.01)
    assert not any(ask.done() for ask in asks)


async def test_what_is_asked_meanwhile_is_the_next_look(shop: Shop) -> None:
    gathering = Gathering(shop.look, at_once=1)
    first = asyncio.create_task(gathering.get(1))
    await _begun(first)
    others = [asyncio.create_task(gathering.get(key)) for key in (2, 3, 2, 1, 100)]
    await _begun(*others)
    shop.open.set()
    assert await first == "#1"
    assert [await other for other in others] == ["#2", "#3", "#2", "#1", None]
    assert shop.asked == [[1], [2, 3, 1, 100]]


async def test_no_more_at_once_than_allowed_and_no_more_together(shop: Shop) -> None:
    gathering = Gathering(shop.look, at_once=2, most=3)
    asks = []
    for key in range(10):
        asks.append(asyncio.create_task(gathering.get(key)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await _begun(*asks)
    assert len(shop.asked) == 2
    shop.open.set()
    assert [await ask for ask in asks] == [f"#{key}" for key in range(10)]
    assert max(len(keys) for keys in shop.asked) == 3


async def test_a_failure_is_everybodys_of_that_look_and_no_others(shop: Shop) -> None:
    gathering = Gathering(shop.look, at_once=1)
    shop.broken = True
    asks = [asyncio.create_task(gathering.get(key)) for key in (1, 2)]
    await _begun(*asks)
    shop.open.set()
    for ask in asks:
        with pytest.raises(OSError, match="away"):
            await ask
    shop.broken = False
    assert await gathering.get(1) == "#1"


async def test_who_goes_away_takes_nothing_from_those_who_stay(shop: Shop) -> None:
    gathering = Gathering(shop.look, at_once=1)
    gone, stays = (asyncio.create_task(gathering.get(1)) for _ in range(2))
    await _begun(gone, stays)
    gone.cancel()
    shop.open.set()
    assert await stays == "#1"


async def test_who_does_not_wait_has_it_looked_up_and_bears_no_failure(shop: Shop) -> None:
    gathering = Gathering(shop.look, at_once=1)
    shop.open.set()
    shop.broken = True
    gathering.soon(1)
    await asyncio.sleep(0.01)
    shop.broken = False
    assert await gathering.get(2) == "#2"
    assert shop.asked == [[1], [2]]


async def test_what_is_asked_while_the_last_look_ends_is_looked_up() -> None:
    """Others run between the last step of a look and the callbacks of its end; what they asked was nobody's, for ever."""
    gathering: Gathering[int, str]
    late: list[asyncio.Task[str | None]] = []

    async def look(keys: list[int]) -> Mapping[int, str]:
        if not late:
            late.append(asyncio.create_task(gathering.get(2)))
        return {key: f"#{key}" for key in keys}

    gathering = Gathering(look, at_once=1)
    assert await gathering.get(1) == "#1"
    async with asyncio.timeout(5):
        assert await late[0] == "#2"
