"""Getting one bill: ask for it, read it to a temporary file, count and hash on the way.

Half a file never leaves the temporary one: whatever goes wrong, the bill stays wanted and is asked for again (its address
lives for five minutes only).
"""

import asyncio
import gzip
import hashlib
import tempfile
from datetime import date, datetime, timedelta
from typing import BinaryIO, Self, cast

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from kit.clock import Clock
from kit.database import Database
from payments import cases
from payments.reconciliation import beijing, keeping, wanting
from payments.reconciliation.models import BILL_TURN, Bill, BillKind, BillState
from payments.reconciliation.reading import BadBill
from payments.wechatpay.gateway import Gateway, Refused, Unknown

log = structlog.get_logger()

MAX_BYTES = 2 * 1024**3
"""Uncompressed; a month's worth of rows in one day is far below."""
_AGAIN_CREATING = timedelta(minutes=30)
_AGAIN_REFUSED = timedelta(hours=1)
_AGAIN_BROKEN = timedelta(minutes=30)
_AGAIN_SILENT = BILL_TURN
_IN_VAIN = timedelta(days=1)
"""After so long of being refused, or of hearing nothing, a person must know. A file that is still being made counts for
nothing: WeChat says that it is coming."""
_BROKEN_TRIES = 3


class Spool:
    """A downloaded file, compressed on disk: memory holds a piece of it at a time."""

    def __init__(self) -> None:
        self.file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115  (closed by __exit__)
        self._gzip = gzip.GzipFile(fileobj=self.file, mode="wb", compresslevel=6, mtime=0)
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self.size_bytes = 0

    def write(self, piece: bytes) -> None:
        self.size_bytes += len(piece)
        if self.size_bytes > MAX_BYTES:
            raise BadBill(f"larger than {MAX_BYTES} bytes")
        self._sha1.update(piece)
        self._gzip.write(piece)

    def close(self) -> None:
        """No more to come."""
        self._gzip.close()

    @property
    def sha1(self) -> str:
        return self._sha1.hexdigest()

    def open(self) -> BinaryIO:
        """The text from its beginning."""
        self.file.seek(0)
        return cast("BinaryIO", gzip.GzipFile(fileobj=self.file, mode="rb"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


async def fetch(
    db: Database, gateway: Gateway, clock: Clock, day: date, kind: BillKind, say: keeping.Say = keeping.silent
) -> BillState:
    """Get one bill that is wanted; returns its state afterwards. What WeChat does not give today is asked for again."""
    try:
        with Spool() as spool:
            said = await _download(gateway, day, kind, spool)
            if said.lower() != spool.sha1:
                why = "its SHA-1 is not the one that was announced"
                return await _broken(db, clock, day, kind, spool, why)
            try:
                await keeping.keep(db, clock, day, kind, spool, say)
            except BadBill as bad:
                return await _broken(db, clock, day, kind, spool, str(bad))
    except Refused as answer:
        return await _refused(db, clock, day, kind, answer)
    except (Unknown, BadBill) as answer:
        return await _later(db, clock, day, kind, str(answer), _AGAIN_SILENT)
    return BillState.VERIFIED


async def _download(gateway: Gateway, day: date, kind: BillKind, spool: Spool) -> str:
    """The bill's text into `spool`; returns the SHA-1 that WeChat announced. Raises `Refused`, `Unknown`, `BadBill`."""
    if kind is BillKind.TRADE:
        ticket = await gateway.bills.apply_trade(day)
    else:
        ticket = await gateway.bills.apply_fund_flow(day)
    if ticket.hash_type.upper() != "SHA1":
        raise BadBill("announced with a hash that is not SHA1")
    try:
        async for piece in gateway.bills.download(ticket.download_url):
            await asyncio.to_thread(spool.write, piece)
    except Refused as answer:  # the address is old, or somebody else's: a new one is asked for
        raise Unknown(str(answer)) from answer
    await asyncio.to_thread(spool.close)
    return str(ticket.hash_value)


async def _refused(db: Database, clock: Clock, day: date, kind: BillKind, answer: Refused) -> BillState:
    now = clock.now()
    if answer.code == "STATEMENTCREATING":
        return await _later(db, clock, day, kind, answer.code, _AGAIN_CREATING, in_vain=False)
    if answer.code == "NOSTATEMENTEXIST" and now >= beijing.believed_at(day):
        async with db.begin() as session:
            if not await _money_is_known(session, day):
                bill = await _lock(session, day, kind)
                if bill.state == BillState.WANTED:
                    await wanting.settled(session, bill, BillState.EMPTY, now)
                return BillState(bill.state)
    return await _later(db, clock, day, kind, str(answer), _AGAIN_REFUSED)


async def _later(
    db: Database, clock: Clock, day: date, kind: BillKind, why: str, gap: timedelta, *, in_vain: bool = True
) -> BillState:
    """Ask again after `gap`; after a day in vain it is a case.

    What counts is time, not turns: silence is asked again every five minutes, a refusal every hour. And it counts from
    the first turn, so that a day that is caught up weeks later has as much of it.
    """
    now = clock.now()
    async with db.begin() as session:
        bill = await _lock(session, day, kind)
        if bill.state != BillState.WANTED:
            return BillState(bill.state)
        bill.attempts += gap // BILL_TURN if in_vain else 0
        bill.last_error, bill.check_at = why, now + gap
        if bill.attempts >= _IN_VAIN // BILL_TURN and now >= beijing.believed_at(day):
            await _give_up(session, bill, "bill_unavailable", now)
        return BillState(bill.state)


async def _broken(db: Database, clock: Clock, day: date, kind: BillKind, spool: Spool, why: str) -> BillState:
    """Keep the bytes aside for whoever has to look at them, and try again; three times, then it is a case."""
    now = clock.now()
    log.warning("broken bill", day=day.isoformat(), kind=kind, why=why)
    async with db.begin() as session:
        bill = await _lock(session, day, kind)
        if bill.state != BillState.WANTED:
            return BillState(bill.state)
        await keeping.put_aside(session, bill, spool, why, now)
        bill.broken += 1
        bill.last_error, bill.check_at = why, now + _AGAIN_BROKEN
        if bill.broken >= _BROKEN_TRIES:
            await _give_up(session, bill, "bill_broken", now)
        return BillState(bill.state)


async def _give_up(session: AsyncSession, bill: Bill, case: str, now: datetime) -> None:
    await wanting.settled(session, bill, BillState.FAILED, now)
    facts = {"why": bill.last_error, "attempts": bill.hours_in_vain, "broken": bill.broken}
    await cases.note(session, case, f"{bill.day}:{bill.kind}", at=now, facts=facts)


async def _lock(session: AsyncSession, day: date, kind: BillKind) -> Bill:
    return await session.get_one(Bill, (day, kind), with_for_update=True)


_KNOWN = text(
    """
    SELECT EXISTS (SELECT FROM payment WHERE received_at >= :start AND received_at < :end AND NOT external)
        OR EXISTS (SELECT FROM refund f JOIN payment p ON p.id = f.payment_id
                   WHERE f.succeeded_at >= :start AND f.succeeded_at < :end AND NOT p.external)
        OR EXISTS (SELECT FROM bill_trade WHERE day = :day)
    """
)


async def _money_is_known(session: AsyncSession, day: date) -> bool:
    """Do we know of anything that happened that day?"""
    start, end = beijing.bounds(day)
    return bool(await session.scalar(_KNOWN, {"start": start, "end": end, "day": day}))
