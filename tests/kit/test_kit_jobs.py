"""Jobs are promised in the transaction, tried again with growing gaps, parked when all was in vain, and set going again."""

import asyncio
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from pgqueuer import AsyncpgDriver, PgQueuer, Queries

from dev.postgres import Cluster
from kit import jobs, working
from kit.database import Database, raw
from kit.errors import NotFound


async def _work_until(clean: Cluster, handlers: dict[str, working.Handler], done: asyncio.Event) -> None:
    queuers: list[PgQueuer] = []
    running = asyncio.create_task(working.work(clean.app_url(), handlers, started=queuers.append))
    async with asyncio.timeout(20):
        await done.wait()
    for queuer in queuers:
        queuer.shutdown.set()
    await running


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
    monkeypatch.setattr(working, "_FIRST_DELAY", timedelta(milliseconds=50))
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
    monkeypatch.setattr(working, "_FIRST_DELAY", timedelta(milliseconds=10))
    monkeypatch.setattr(working, "_MAX_ATTEMPTS", 1)
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


async def test_a_failed_job_that_was_promised_again_since_goes_on_once(db: Database, sql: Any) -> None:
    async with db.begin() as session:
        await jobs.enqueue(session, "test.job", "R123")
    await sql.execute("UPDATE pgqueuer SET status = 'failed'")
    async with db.begin() as session:
        await jobs.enqueue(session, "test.job", "R123")
    async with db.begin() as session:
        (failed,) = await jobs.list_failed(session)
        assert (await jobs.set_going_again(session, int(failed.id))).reference == "R123"
    assert [row["status"] for row in await sql.fetch("SELECT status::text FROM pgqueuer")] == ["queued"]


async def test_a_job_whose_worker_fell_silent_is_taken_by_another(clean: Cluster, db: Database, sql: Any) -> None:
    """Half a minute ago it was taken by somebody who has not been heard of since."""
    done = asyncio.Event()

    async def handler(_reference: str) -> None:
        done.set()

    async with db.begin() as session:
        await jobs.enqueue(session, "test.job", "R123")
    silent = "now() - interval '30 seconds'"
    await sql.execute(
        f"UPDATE pgqueuer SET status = 'picked', queue_manager_id = gen_random_uuid(), heartbeat = {silent}, updated = {silent}"
    )
    await _work_until(clean, {"test.job": handler}, done)


async def test_a_job_is_promised_as_the_queue_itself_promises_it(db: Database, sql: Any) -> None:
    """`kit.jobs` writes pgqueuer's rows without importing it; both must leave the same."""
    async with db.begin() as session:
        await jobs.enqueue(session, "test.job", "ours", after=timedelta(hours=1))
        await jobs.enqueue(session, "test.job", "ours")
        queues = Queries(AsyncpgDriver(await raw(session)))
        for _ in range(2):
            key = "test.job:theirs"
            await queues.enqueue(
                "test.job", b"theirs", execute_after=timedelta(hours=1), dedupe_key=key, on_conflict="skip"
            )
    ours, theirs = [dict(row) for row in await sql.fetch("SELECT * FROM pgqueuer ORDER BY id")]
    assert (ours.pop("payload"), ours.pop("dedupe_key")) == (b"ours", "test.job:ours")
    assert (theirs.pop("payload"), theirs.pop("dedupe_key")) == (b"theirs", "test.job:theirs")
    logged = [dict(row) for row in await sql.fetch("SELECT * FROM pgqueuer_log ORDER BY id")]
    assert [row.pop("job_id") for row in logged] == [ours.pop("id"), theirs.pop("id")]
    assert ours == theirs
    first, second = logged
    first.pop("id"), second.pop("id")
    assert first == second


def test_a_server_process_does_without_the_queue() -> None:
    """It weighs 12 MiB and a fifth of a second of each start."""
    program = "import sys, shop.app; sys.exit('pgqueuer' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
