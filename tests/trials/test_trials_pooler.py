"""Through PgBouncer in transaction mode: every limit holds, nothing stays behind, and the whole shop goes through it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from nodes import PgBouncer, missing
from sqlalchemy import text
from trialing import Rounds

from dev.postgres import Cluster
from kit import jobs
from kit.database import Database, DatabaseUnavailable, raw

pytestmark = [
    pytest.mark.trial("R37"),
    pytest.mark.pgbouncer,
    pytest.mark.skipif(bool(missing("pgbouncer")), reason="PgBouncer is not installed"),
]

_LIMITS = "statement_timeout lock_timeout idle_in_transaction_session_timeout jit timezone"
_SHOW = "SELECT string_agg(current_setting(name), ' ') FROM unnest(string_to_array($1, ' ')) name"
_OURS = "4s 2s 10s off UTC"


@pytest.fixture
def pooler(clean: Cluster, tmp_path: Path) -> Iterator[PgBouncer]:
    """Two connections to Postgres for everybody: who comes back gets another one more often than not."""
    assert clean.port is not None
    with PgBouncer(tmp_path / "pgbouncer", clean.app_url(), clean.port, default_pool_size="2") as made:
        yield made


@asynccontextmanager
async def through(pooler: PgBouncer) -> AsyncIterator[Database]:
    db = Database(pooler.url, pool_size=8, bare_size=8, pooler="transaction", name="test")
    yield db
    await db.close()


async def test_every_transaction_and_every_statement_has_its_limits(pooler: PgBouncer) -> None:
    async with through(pooler) as db:
        async with db.begin() as session:
            assert await session.scalar(text(_SHOW.replace("$1", ":names")), {"names": _LIMITS}) == _OURS
            assert await (await raw(session)).fetchval(_SHOW, _LIMITS) == _OURS
        async with db.bare() as connection:
            assert await connection.fetchval(_SHOW, f"{_LIMITS} plan_cache_mode") == f"{_OURS} force_generic_plan"
            async with connection.transaction():
                assert await connection.fetchval(_SHOW, _LIMITS) == _OURS


async def test_who_does_not_know_the_password_does_not_come_in(pooler: PgBouncer) -> None:
    parts = urlsplit(pooler.url)
    for guess in ("", "guess", str(parts.username)):
        url = urlunsplit(parts._replace(netloc=f"{parts.username}:{guess}@127.0.0.1:{pooler.port}"))
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.ProtocolViolationError)):
            await (await asyncpg.connect(url, statement_cache_size=0)).close()


async def test_nothing_stays_behind_for_others(pooler: PgBouncer) -> None:
    async with through(pooler) as db:
        async with db.begin() as session:
            await session.execute(text("SELECT 1"))
        async with db.bare() as connection:
            await connection.fetch("SELECT $1::int", 1)
    other = await asyncpg.connect(pooler.url, statement_cache_size=0)
    for _ in range(4):
        assert await other.fetchval(_SHOW, "statement_timeout lock_timeout") == "0 0"
        assert await other.fetchval("SELECT count(*) FROM pg_prepared_statements") == 0
    await other.close()


async def test_a_limit_that_is_reached_is_a_503_and_hurts_nobody_else(pooler: PgBouncer) -> None:
    async with through(pooler) as db:

        async def too_long() -> None:
            async with db.bare() as connection, connection.transaction():
                await connection.execute("SET LOCAL statement_timeout = 50")
                await connection.fetch("SELECT pg_sleep(2)")

        with pytest.raises(DatabaseUnavailable):
            await too_long()
        async with db.bare() as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_many_at_once_get_their_own_answers(pooler: PgBouncer, rounds: Rounds) -> None:
    """Sixteen connections of two processes' worth on two servers: a statement's text never meets another's values."""
    async with through(pooler) as one, through(pooler) as two:

        async def ask(n: int) -> None:
            db = (one, two)[n % 2]
            if n % 3:
                async with db.bare() as connection:
                    row = await connection.fetchrow(f"SELECT $1::int, $2::text, $3::int[], {n}", n, "w", [n])
                    assert tuple(row) == (n, "w", [n], n)
            else:
                async with db.begin() as session:
                    assert await session.scalar(text(f"SELECT CAST(:n AS int) + {n}"), {"n": n}) == 2 * n
                    assert await (await raw(session)).fetchval(f"SELECT $1::int - {n}", n) == 0

        for _ in range(rounds(4, 100)):
            await asyncio.gather(*(ask(n) for n in range(100)))


async def test_json_types_and_promised_jobs_go_through(pooler: PgBouncer, clean: Cluster) -> None:
    async with through(pooler) as db:
        for n in range(4):
            async with db.begin() as session:
                assert await session.scalar(text("SELECT CAST(:j AS jsonb)"), {"j": '{"a": [1]}'}) is not None
                await jobs.enqueue(session, "test.job", str(n))
            async with db.bare() as connection:
                assert await connection.fetchval("SELECT count(*) FROM pgqueuer") == n + 1


async def test_the_pooler_comes_back(pooler: PgBouncer, clean: Cluster) -> None:
    async with through(pooler) as db:
        async with db.bare() as connection:
            await connection.fetchval("SELECT 1")
        root = await asyncpg.connect(clean.superuser_url("shop"))
        await root.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop_app'")
        await root.close()
        for _ in range(10):
            try:
                async with db.begin() as session:
                    assert await session.scalar(text("SELECT 1")) == 1
                async with db.bare() as connection:
                    assert await connection.fetchval("SELECT 1") == 1
            except DatabaseUnavailable:
                await asyncio.sleep(0.1)
            else:
                return
        raise AssertionError("it never came back")
