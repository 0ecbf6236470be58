"""Jobs are promised in the transaction, tried again with growing gaps, parked when all was in vain, and set going again."""

import asyncio
from typing import Any

import pytest
from pgqueuer import PgQueuer

from dev.postgres import Cluster
from kit import jobs
from kit.database import Database
from kit.errors import NotFound


async def _work_until(clean: Cluster, handlers: dict[str, jobs.Handler], done: asyncio.Event) -> None:
    queuers: list[PgQueuer] = []
    working = asyncio.create_task(jobs.work(clean.app_url(), handlers, started=queuers.append))
    async with asyncio.timeout(20):
        await done.wait()
    for queuer in queuers:
        queuer.shutdown.set()
    await working


async def test_a_job_is_done_once_after_the_commit(clean: Cluster, db: Database, sql: Any) -> None:
    seen: list[str] = []
    done = asyncio.Event()

    async def handler(reference: str) -> None:
        seen.append(reference)
        done.set()

    async with db.begin() as session:
        await jobs.enqueue(session, "test.job", "R123")
    await _work_until(clean, {"test.job": handler}, done)
    assert seen == ["R123"]
    assert await sql.fetchval("SELECT count(*) FROM pgqueuer") == 0


async def test_a_failing_job_is_tried_again(clean: Cluster, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_FIRST_DELAY", jobs.timedelta(milliseconds=50))
    tries: list[int] = []
    done = asyncio.Event()

    async def handler(_reference: str) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError
        done.set()

    async with db.begin() as session:
        await jobs.enqueue(session, "test.job", "R123")
    await _work_until(clean, {"test.job": handler}, done)
    assert len(tries) == 3


async def test_a_job_in_vain_is_parked_seen_and_set_going_again(
    clean: Cluster, db: Database, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_FIRST_DELAY", jobs.timedelta(milliseconds=10))
    monkeypatch.setattr(jobs, "_MAX_ATTEMPTS", 1)
    tries: list[int] = []
    enough = asyncio.Event()

    async def handler(_reference: str) -> None:
        tries.append(1)
        if len(tries) == 2:
            enough.set()
        raise ConnectionError

    async with db.begin() as session:
        await jobs.enqueue(session, "test.job", "R123")
    await _work_until(clean, {"test.job": handler}, enough)
    async with db.begin() as session:
        (failed,) = await jobs.list_failed(session)
    assert (failed.name, failed.reference) == ("test.job", "R123")
    async with db.begin() as session:
        await jobs.set_going_again(session, int(failed.id))
    assert await sql.fetchval("SELECT status::text FROM pgqueuer") == "queued"
    async with db.begin() as session:
        with pytest.raises(NotFound):
            await jobs.set_going_again(session, int(failed.id))
