"""Keeping a file: its rows and its bytes come into the database in one transaction, or not at all.

Rows stream from the file into COPY, chunks are read one at a time: memory stays the same however large the bill is.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date, datetime
from typing import Any, BinaryIO, Protocol

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kit.clock import Clock
from kit.database import Database, raw
from payments.reconciliation import beijing, wanting
from payments.reconciliation.flow_bill import FlowBill, FlowRow
from payments.reconciliation.models import Bill, BillChunk, BillFile, BillFlow, BillKind, BillState, BillTrade
from payments.reconciliation.reading import BadBill
from payments.reconciliation.trade_bill import TradeBill, TradeRow

CHUNK_BYTES = 256 * 1024
PATIENCE_S = 600.0
"""For one statement over a whole day's rows."""
_PAUSE = 500
"""After so many rows others get their turn."""
_SAID = 10_000
"""After so many rows somebody who waits is told."""
Say = Callable[[str], None]
"""Takes a line of progress."""


def silent(_: str) -> None:
    """Nobody waits."""


class Kept(Protocol):
    """A file on disk: `payments.reconciliation.download.Spool`."""

    file: BinaryIO
    size_bytes: int

    @property
    def sha1(self) -> str: ...

    def open(self) -> BinaryIO: ...


async def patient(session: AsyncSession) -> None:
    """This transaction works on whole days: its statements may take minutes. Nobody waits for what it locks."""
    await session.execute(text(f"SET LOCAL statement_timeout = '{int(PATIENCE_S)}s'"))
    await session.execute(text("SET LOCAL work_mem = '64MB'"))


async def look(session: AsyncSession) -> None:
    """Have the planner look at the rows that came: before, it believes a new day to be empty."""
    connection = await raw(session)
    await connection.execute("SELECT analyze_bills()", timeout=PATIENCE_S)


async def keep(db: Database, clock: Clock, day: date, kind: BillKind, spool: Kept, say: Say = silent) -> None:
    """Take over a bill's rows and bytes, verified to the last total. Raises `BadBill`: then nothing of it is kept."""
    now = clock.now()
    async with db.begin() as session:
        bill = await session.get_one(Bill, (day, kind), with_for_update=True)
        if bill.state != BillState.WANTED:  # another worker was faster
            return
        await patient(session)
        reader, table, fields = (
            (TradeBill(spool.open()), BillTrade, TradeRow._fields)
            if kind is BillKind.TRADE
            else (FlowBill(spool.open()), BillFlow, FlowRow._fields)
        )
        connection = await raw(session)
        await connection.copy_records_to_table(
            table.__tablename__,
            records=_records(day, reader.rows(), lambda seen: say(f"{day} {kind}: {seen} rows")),
            columns=("day", "line", *fields),
            timeout=PATIENCE_S,
        )
        file_id = await _store(session, bill, spool, now, rows=reader.count, broken=None, summary=reader.summary)
        bill.file_id = file_id
        await wanting.settled(session, bill, BillState.VERIFIED, now)


async def _records(
    day: date, rows: Iterator[tuple[int, tuple[Any, ...]]], seen_so_far: Callable[[int], None]
) -> AsyncIterator[tuple[Any, ...]]:
    """What COPY takes. A bill without a single row of its day is another day's."""
    seen = ours = 0
    for line, row in rows:
        yield (day, line, *row)
        ours += beijing.day_of(row[0]) == day
        seen += 1
        if seen % _PAUSE == 0:
            await asyncio.sleep(0)
        if seen % _SAID == 0:
            seen_so_far(seen)
    if seen and not ours:
        raise BadBill(f"none of its rows is of {day}")


async def put_aside(session: AsyncSession, bill: Bill, spool: Kept, why: str, now: datetime) -> None:
    """Keep the bytes of a file that cannot be believed; the same bytes only once."""
    await _store(session, bill, spool, now, rows=0, broken=why, summary={})


async def _store(
    session: AsyncSession,
    bill: Bill,
    spool: Kept,
    now: datetime,
    *,
    rows: int,
    broken: str | None,
    summary: dict[str, str],
) -> int | None:
    statement = insert(BillFile).values(
        day=bill.day,
        kind=bill.kind,
        sha1=spool.sha1,
        size_bytes=spool.size_bytes,
        rows=rows,
        broken=broken,
        summary=summary,
        downloaded_at=now,
    )
    if broken is not None:
        statement = statement.on_conflict_do_nothing()
    file_id = await session.scalar(statement.returning(BillFile.id))
    if file_id is not None:
        spool.file.seek(0)
        position = 0
        while piece := spool.file.read(CHUNK_BYTES):
            await session.execute(insert(BillChunk).values(file_id=file_id, position=position, data=piece))
            position += 1
    return file_id
