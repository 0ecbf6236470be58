"""What the database says is heard; what may have been said unheard is taken as said; silence ends all trust."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from dev.postgres import Cluster
from kit import news as newses
from kit.news import TRUST_S, News

pytestmark = pytest.mark.anyio
LONG_AGO = float("-inf")


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.fixture
def heard() -> list[str | None]:
    return []


@pytest.fixture
async def news(clean: Cluster, heard: list[str | None]) -> AsyncIterator[News]:
    made = News(clean.app_url())
    made.on("stall", heard.append)
    listening = asyncio.create_task(made.listen())
    await _until(lambda: made.holds(LONG_AGO))
    yield made
    listening.cancel()


async def test_what_is_said_is_heard_and_first_of_all_that_anything_may_have_been(
    news: News, heard: list[str | None], sql: Any
) -> None:
    await sql.execute("NOTIFY stall, '7'")
    await _until(lambda: len(heard) == 2)
    assert heard == [None, "7"]


async def test_what_was_said_before_a_proof_was_heard_before_it(news: News, heard: list[str | None], sql: Any) -> None:
    for number in range(20):
        await sql.execute(f"NOTIFY stall, '{number}'")
        said_at = time.monotonic()
        await _until(lambda said_at=said_at: news._proved_at > said_at)
        assert heard[-1] == str(number)


async def test_when_the_connection_breaks_nothing_is_believed_until_it_listens_again(
    news: News, heard: list[str | None], clean: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newses, "_AGAIN_S", 0.05)
    root = await asyncpg.connect(clean.superuser_url())
    await root.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shop-news'")
    await root.close()
    await _until(lambda: not news.holds(LONG_AGO))
    assert news.holds(time.monotonic()), "what was read just now is believed for a moment"
    assert not news.holds(time.monotonic() - TRUST_S)
    await _until(lambda: news.holds(LONG_AGO))
    assert heard == [None, None]


@pytest.mark.parametrize("error", [asyncpg.InternalClientError, AttributeError])
async def test_whatever_a_connection_dies_of_it_listens_again(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """The first: asyncpg, when a statement finds that the server has said farewell unasked."""
    opened = []

    class Dying:
        async def add_listener(self, *_: Any) -> None: ...

        async def execute(self, *_: Any, **_named: Any) -> None:
            raise error

        def terminate(self) -> None: ...

    async def connect(*_: Any, **_named: Any) -> Dying:
        opened.append(1)
        return Dying()

    monkeypatch.setattr(newses, "_AGAIN_S", 0.01)
    monkeypatch.setattr(newses.hosts, "connect", connect)
    listening = asyncio.create_task(News("postgresql://nobody@127.0.0.1:9/none").listen())
    await _until(lambda: len(opened) > 2 or listening.done())
    assert not listening.done(), "deaf for ever"
    listening.cancel()


async def test_without_a_database_only_the_moment_is_believed() -> None:
    deaf = News("postgresql://nobody@127.0.0.1:9/none")
    listening = asyncio.create_task(deaf.listen())
    await asyncio.sleep(0.1)
    assert not deaf.holds(time.monotonic() - TRUST_S)
    assert deaf.holds(time.monotonic())
    listening.cancel()
