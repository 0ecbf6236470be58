"""What staff see of the bills: days with their figures, what differs, the files themselves; and a day run again."""

import zlib
from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated, Any, TypeAlias

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter
from litestar.response import Stream

from kit import audit, idempotency
from kit.clock import Clock
from kit.database import Database
from kit.errors import invalid
from kit.paging import Page, decode_cursor, page
from kit.web.actor import actor_of, requires
from kit.web.declared import STAFF, declared
from kit.web.idempotent import IdempotencyKey
from kit.web.parameters import QueryCursor, QueryLimit
from payments.reconciliation import report, wanting
from payments.reconciliation.models import BillKind
from payments.reconciliation.report import BillNotFound, DayNotFound, Difference, Report
from payments.reconciliation.wanting import DayOutOfReach
from payments.wechatpay.gateway import Gateway

PathDay: TypeAlias = Annotated[
    str, PathParameter(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$(?!\n)", description="A Beijing day, `2026-11-23`")
]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise invalid("day", "must be a day that exists, as 2026-11-23") from error


@get(
    "/reconciliation/days",
    operation_id="listReconciledDays",
    summary="Days with their bills and figures, newest first",
    guards=[requires("reconciliation.read")],
    responses=declared(*STAFF),
)
async def list_days(db: NamedDependency[Database], cursor: QueryCursor = None, limit: QueryLimit = 20) -> Page[Report]:
    before = _day(decode_cursor(cursor, (str,))[0]) if cursor else None
    async with db.begin() as session:
        found = await report.list_days(session, before=before, limit=limit + 1)
    return page(found, limit, lambda row: (row.day.isoformat(),))


@get(
    "/reconciliation/days/{day:str}",
    operation_id="getReconciledDay",
    summary="One day's report",
    guards=[requires("reconciliation.read")],
    responses=declared(*STAFF, DayNotFound),
)
async def get_day(day: PathDay, db: NamedDependency[Database]) -> Report:
    async with db.begin() as session:
        return await report.get(session, _day(day))


@get(
    "/reconciliation/days/{day:str}/differences",
    operation_id="listDifferences",
    summary="What does not fit on one day, with what all three sides say",
    guards=[requires("reconciliation.read")],
    responses=declared(*STAFF, DayNotFound),
)
async def list_differences(
    day: PathDay,
    db: NamedDependency[Database],
    open_only: Annotated[bool, QueryParameter(name="openOnly", description="Only what is open or waits")] = False,
    cursor: QueryCursor = None,
    limit: QueryLimit = 20,
) -> Page[Difference]:
    after = decode_cursor(cursor, (int,))[0] if cursor else 0
    async with db.begin() as session:
        await report.get(session, _day(day))
        found = await report.list_differences(session, _day(day), open_only=open_only, after=after, limit=limit + 1)
    return page(found, limit, lambda row: (int(row.id),))


@get(
    "/reconciliation/days/{day:str}/bills/{kind:str}",
    operation_id="downloadBill",
    export=True,
    summary="A bill as WeChat Pay gave it, byte for byte",
    guards=[requires("reconciliation.download")],
    responses=declared(*STAFF, BillNotFound),
    media_type="text/csv",
)
async def download_bill(
    request: Request[Any, Any, Any],
    day: PathDay,
    kind: Annotated[BillKind, PathParameter(description="Which of the two")],
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> Stream:
    """It names payers (openid) and what they bought: the download is in the audit."""
    which = _day(day)
    async with db.begin() as session:
        file = await report.find_file(session, which, kind)
        await audit.record(
            session,
            at=clock.now(),
            actor=actor_of(request).label,
            action="bill.download",
            subject=("bill", f"{which}:{kind}"),
        )
    headers = {
        "content-disposition": f'attachment; filename="{which}-{kind}.csv"',
        "cache-control": "no-store",
    }
    return Stream(_text(db, file.id), media_type="text/csv; charset=utf-8", headers=headers)


async def _text(db: Database, file_id: int) -> AsyncIterator[bytes]:
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    async for piece in report.chunks(db, file_id):
        yield unpacking.decompress(piece)
    yield unpacking.flush()


class RunAccepted(msgspec.Struct, rename="camel"):
    """The worker takes it up within a minute; `getReconciledDay` shows what came of it."""

    day: date


@post(
    "/reconciliation/days/{day:str}/run",
    operation_id="runReconciliation",
    summary="Have a day reconciled again, its missing bills asked for anew",
    guards=[requires("reconciliation.run")],
    responses=declared(*STAFF, DayOutOfReach, idempotency.KeyReused, idempotency.StillRunning),
    status_code=202,
)
async def run_day(
    request: Request[Any, Any, Any],
    day: PathDay,
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    clock: NamedDependency[Clock],
) -> RunAccepted:
    actor, now, which = actor_of(request), clock.now(), _day(day)
    wish = idempotency.intent(actor.label, "runReconciliation", idempotency_key, which)
    async with db.begin() as session:

        async def work() -> RunAccepted:
            kinds = wanting.kinds_of(gateway.merchant)
            await wanting.ask_for(session, which, now, due=now, kinds=kinds)
            await audit.record(
                session, at=now, actor=actor.label, action="reconciliation.run", subject=("bill_day", which.isoformat())
            )
            return RunAccepted(which)

        return await idempotency.once(session, wish, now, work, RunAccepted)


ROUTES: list[Any] = [list_days, get_day, list_differences, download_bill, run_day]
