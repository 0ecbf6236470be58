"""Reports: a day with its figures and what differs, for staff and for the command line."""

from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.database import Database
from kit.errors import NotFound
from payments.models import PaymentException
from payments.reconciliation.figures import Figures
from payments.reconciliation.models import Bill, BillChunk, BillDay, BillDifference, BillFile, BillKind


class DayNotFound(NotFound):
    """This day has not been reconciled."""

    zh = "该日期尚未对账"


class BillNotFound(NotFound):
    """There is no such bill."""

    zh = "未找到该账单"


class BillRow(msgspec.Struct, frozen=True, rename="camel"):
    kind: str
    state: str
    rows: int | None
    size_bytes: int | None
    sha1: str | None
    downloaded_at: datetime | None
    attempts: int
    last_error: str | None


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """One Beijing day: its bills, and how they fit. `figures` is absent until it was matched."""

    day: date
    state: str
    matched_at: datetime | None
    runs: int
    last_error: str | None
    """Why it could not be matched, when it could not; or what of it is never matched (a sub-merchant's account)."""
    bills: list[BillRow]
    figures: Figures | None


class Difference(msgspec.Struct, frozen=True, rename="camel"):
    """`state` is `open`, `waiting` (the next bill may explain it), `decided` (by a person) or `gone`."""

    id: str
    kind: str
    reference: str
    state: str
    out_trade_no: str | None
    out_refund_no: str | None
    answer: str | None
    facts: dict[str, Any]
    found_at: datetime
    gone_at: datetime | None


async def get(session: AsyncSession, day: date) -> Report:
    """Raises `DayNotFound` (404)."""
    found = await session.get(BillDay, day, populate_existing=True)
    if found is None:
        raise DayNotFound
    return (await _reports(session, [found]))[0]


async def list_days(session: AsyncSession, *, before: date | None, limit: int) -> list[Report]:
    """Newest first, from below `before`."""
    statement = select(BillDay).order_by(BillDay.day.desc()).limit(limit)
    if before is not None:
        statement = statement.where(BillDay.day < before)
    return await _reports(session, list(await session.scalars(statement)))


async def _reports(session: AsyncSession, found: list[BillDay]) -> list[Report]:
    statement = (
        select(Bill, BillFile)
        .outerjoin(BillFile, BillFile.id == Bill.file_id)
        .where(Bill.day.in_([day.day for day in found]))
        .order_by(Bill.kind.desc())
        .execution_options(populate_existing=True)
    )
    bills: dict[date, list[BillRow]] = {day.day: [] for day in found}
    for bill, file in await session.execute(statement):
        bills[bill.day].append(
            BillRow(
                kind=bill.kind,
                state=bill.state,
                rows=file.rows if file else None,
                size_bytes=file.size_bytes if file else None,
                sha1=file.sha1 if file else None,
                downloaded_at=file.downloaded_at if file else None,
                attempts=bill.hours_in_vain,
                last_error=bill.last_error,
            )
        )
    return [
        Report(
            day=day.day,
            state=day.state,
            matched_at=day.matched_at,
            runs=day.run,
            last_error=day.last_error,
            bills=bills[day.day],
            figures=msgspec.convert(day.figures, Figures) if day.figures else None,
        )
        for day in found
    ]


async def list_differences(
    session: AsyncSession, day: date, *, open_only: bool, after: int, limit: int
) -> list[Difference]:
    """In the order in which they were found, from above the id `after`."""
    statement = (
        select(BillDifference, PaymentException.resolved_by)
        .outerjoin(
            PaymentException,
            (PaymentException.kind == BillDifference.kind)
            & (PaymentException.reference == BillDifference.reference)
            & (PaymentException.resolved_by != "system"),
        )
        .where(BillDifference.day == day, BillDifference.id > after)
        .order_by(BillDifference.id)
        .limit(limit)
    )
    if open_only:
        statement = statement.where(BillDifference.gone_at.is_(None), PaymentException.resolved_by.is_(None))
    return [_difference(found, decided=by is not None) for found, by in await session.execute(statement)]


def _difference(found: BillDifference, *, decided: bool) -> Difference:
    state = "gone" if found.gone_at else "decided" if decided else "waiting" if found.waits else "open"
    return Difference(
        id=str(found.id),
        kind=found.kind,
        reference=found.reference,
        state=state,
        out_trade_no=found.out_trade_no,
        out_refund_no=found.out_refund_no,
        answer=found.answer,
        facts=found.facts,
        found_at=found.found_at,
        gone_at=found.gone_at,
    )


async def find_file(session: AsyncSession, day: date, kind: BillKind) -> BillFile:
    """The file that is believed. Raises `BillNotFound` (404)."""
    statement = select(BillFile).join(Bill, Bill.file_id == BillFile.id).where(Bill.day == day, Bill.kind == kind)
    file = await session.scalar(statement)
    if file is None:
        raise BillNotFound
    return file


async def chunks(db: Database, file_id: int) -> AsyncIterator[bytes]:
    """A kept file as it is kept: gzip, a piece at a time, each in a transaction of its own."""
    position = 0
    while True:
        async with db.begin() as session:
            which = (BillChunk.file_id == file_id, BillChunk.position == position)
            piece = await session.scalar(select(BillChunk.data).where(*which))
        if piece is None:
            return
        yield piece
        position += 1
