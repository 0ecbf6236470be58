"""Bare connections are lent for a moment: whoever comes next has one at hand, and none is kept from who waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest

from dev.postgres import Cluster
from kit import bare, hosts
from kit.bare import BarePool

pytestmark = pytest.mark.anyio
_PATIENCE_S = 2.0


@pytest.fixture
async def pool(clean: Cluster) -> AsyncIterator[BarePool]:
    """Two connections, both at hand."""
    made = BarePool(clean.app_url(), size=2, acquire_timeout_s=_PATIENCE_S, connect={"connection_class": hosts.Watched})
    await _pids(made)
    assert len(made._at_hand) == 2
    yield made
    await made.close()


async def _pids(pool: BarePool) -> set[int]:
    """Of both, used at once."""
    async with AsyncExitStack() as stack:
        taken = [await stack.enter_async_context(pool.take()) for _ in range(2)]
        assert not any(connection.is_in_transaction() for connection in taken)
        return {await connection.fetchval("SELECT pg_backend_pid()") for connection in taken}


async def test_who_waits_gets_what_is_given_back(pool: BarePool) -> None:
    async def briefly() -> None:
        async with pool.take() as connection:
            await connection.execute("SELECT pg_sleep(0.01)")

    async with asyncio.timeout(_PATIENCE_S / 2):
        await asyncio.gather(*(briefly() for _ in range(20)))


async def test_what_nobody_needs_goes_back_to_the_pool(pool: BarePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bare, "_LOAN_S", 0.02)
    async with asyncio.timeout(5):
        while pool._at_hand:
            await asyncio.sleep(0.02)
    await _pids(pool)


async def test_one_that_died_at_hand_is_not_lent(pool: BarePool, clean: Cluster) -> None:
    before = await _pids(pool)
    executioner: Any = await asyncpg.connect(clean.superuser_url())
    await executioner.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid", list(before))
    await executioner.close()
    async with asyncio.timeout(5):
        while any(loan.is_usable() for loan in pool._at_hand):
            await asyncio.sleep(0.01)
    assert (await _pids(pool)).isdisjoint(before)


async def test_what_is_left_open_is_not_there_for_the_next(pool: BarePool) -> None:
    before = await _pids(pool)
    async with pool.take() as connection:
        await connection.execute("BEGIN")
    assert len(pool._at_hand) == 1
    assert await _pids(pool) == before, "rolled back, and used again"


@pytest.mark.parametrize("in_use", [False, True])
async def test_when_one_takes_no_writes_all_are_opened_anew(pool: BarePool, *, in_use: bool) -> None:
    before = await _pids(pool)
    async with AsyncExitStack() as stack:
        if in_use:
            other = await stack.enter_async_context(pool.take())
            assert await other.fetchval("SELECT 1") == 1
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            async with pool.take() as connection, connection.transaction(readonly=True):
                await connection.execute("UPDATE stock SET available = available")
    assert (await _pids(pool)).isdisjoint(before)


async def test_a_loan_ends_also_when_its_error_cannot_be_dealt_with(
    pool: BarePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut_off(_: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(pool, "_look_for_the_primary", cut_off)
    with pytest.raises(asyncio.CancelledError):
        async with pool.take() as connection, connection.transaction(readonly=True):
            await connection.execute("UPDATE stock SET available = available")
    await _pids(pool)
