"""What staff see of refunds, and how a second person decides on one."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, TypeAlias

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit import audit, idempotency
from kit.clock import Clock
from kit.database import Database
from kit.fields import Line
from kit.idempotency import KeyReused, StillRunning
from kit.paging import Page, decode_cursor, page
from kit.web.actor import Actor, actor_of, requires
from kit.web.declared import BODY, STAFF, declared
from kit.web.idempotent import IdempotencyKey
from kit.web.parameters import QueryCursor, QueryLimit, QueryNo, bounded
from payments import refund_views, refunds
from payments.models import Payment, Refund, RefundState
from payments.ports import Payee
from payments.refund_views import RefundDetail, RefundRow
from payments.refunds import OwnRefund, RefundNotFound, RefundNotWaiting, RefundTooLate

Req = Request[Any, Any, Any]
RefundNo = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=r"^[0-9A-Za-z_|*@-]+$(?!\n)",
        description="A refund's `out_refund_no`; WeChat's rules hold for those that were made in its merchant portal",
    ),
]
PathRefund: TypeAlias = Annotated[str, bounded(PathParameter, RefundNo)]
ONCE = (*STAFF, RefundNotFound, KeyReused, StillRunning)


class Rejection(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Why the money stays; shown to staff as the refund's `lastError`."""

    reason: Line


@get(
    "/refunds",
    operation_id="listRefunds",
    summary="Refunds, newest first",
    guards=[requires("payments.read")],
    responses=declared(*STAFF),
)
async def list_refunds(
    request: Req,
    db: NamedDependency[Database],
    payable: QueryNo = None,
    status: Annotated[RefundState | None, QueryParameter(name="state", description="Only those in this state")] = None,
    cursor: QueryCursor = None,
    limit: QueryLimit = 20,
) -> Page[RefundRow]:
    statement = select(Refund, Payment).join(Payment, Payment.id == Refund.payment_id)
    statement = statement.order_by(Refund.id.desc()).limit(limit + 1)
    if payable:
        statement = statement.where(Refund.payable == payable)
    if status:
        statement = statement.where(Refund.state == status)
    if cursor:
        statement = statement.where(Refund.id < decode_cursor(cursor, (int,))[0])
    async with db.begin() as session:
        rows = [(refund, payment) for refund, payment in await session.execute(statement)]
    found, reader = page(rows, limit, lambda row: (row[0].id,)), actor_of(request).label
    return Page([refund_views.row(refund, payment, reader) for refund, payment in found.items], found.next_cursor)


@get(
    "/refunds/{no:str}",
    operation_id="getRefund",
    summary="One refund: what is known, what happened, what can be done",
    guards=[requires("payments.read")],
    responses=declared(*STAFF, RefundNotFound),
)
async def get_refund(request: Req, no: PathRefund, db: NamedDependency[Database]) -> RefundDetail:
    async with db.begin() as session:
        return await refund_views.get(session, no, actor_of(request).label)


@post(
    "/refunds/{no:str}/approve",
    operation_id="approveRefund",
    summary="Let a refund go that another person asked for",
    guards=[requires("refunds.approve")],
    status_code=200,
    responses=declared(*ONCE, RefundNotWaiting, RefundTooLate, OwnRefund),
)
async def approve_refund(
    request: Req,
    no: PathRefund,
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> RefundDetail:
    actor, now = actor_of(request), clock.now()

    async def decide(session: AsyncSession) -> None:
        await refunds.approve(session, no, by=actor.label, at=now)

    return await _decide(db, actor, now, idempotency_key, ("approve", no), None, decide)


@post(
    "/refunds/{no:str}/reject",
    operation_id="rejectRefund",
    summary="Keep the money of a refund that another person asked for",
    guards=[requires("refunds.approve")],
    status_code=200,
    responses=declared(*ONCE, *BODY, RefundNotWaiting, OwnRefund),
)
async def reject_refund(
    request: Req,
    no: PathRefund,
    data: JSONBody[Rejection],
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    payee: NamedDependency[Payee],
    clock: NamedDependency[Clock],
) -> RefundDetail:
    actor, now = actor_of(request), clock.now()

    async def decide(session: AsyncSession) -> None:
        await refunds.reject(session, payee, no, by=actor.label, reason=data.reason, at=now)

    return await _decide(db, actor, now, idempotency_key, ("reject", no), data, decide)


async def _decide(
    db: Database,
    actor: Actor,
    now: datetime,
    key: str,
    deed: tuple[str, str],
    data: Rejection | None,
    decide: Callable[[AsyncSession], Awaitable[None]],
) -> RefundDetail:
    verb, no = deed
    wish = idempotency.intent(actor.label, f"{verb}Refund:{no}", key, data)
    async with db.begin() as session:

        async def work() -> RefundDetail:
            await decide(session)
            await record(session, actor, verb, no, now)
            return await refund_views.get(session, no, actor.label)

        return await idempotency.once(session, wish, now, work, RefundDetail)


async def record(session: AsyncSession, actor: Actor, verb: str, no: str, at: datetime, **facts: Any) -> None:
    """In the audit: `refund.approve` and so on."""
    await audit.record(session, at=at, actor=actor.label, action=f"refund.{verb}", subject=("refund", no), facts=facts)


ROUTES: list[Any] = [list_refunds, get_refund, approve_refund, reject_refund]
