"""What staff see of money: attempts, refunds, exceptions."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from sqlalchemy import select

from kit import audit
from kit.clock import Clock
from kit.database import Database
from kit.errors import Conflict, NotFound
from kit.fields import Line, as_id
from kit.paging import Page, decode_cursor, page
from kit.web.actor import actor_of, requires
from kit.web.declared import BODY, STAFF, declared
from kit.web.parameters import PathId, QueryCursor, QueryLimit, QueryNo
from payments.models import Payment, PaymentException, Refund


class PaymentRow(msgspec.Struct, rename="camel"):
    out_trade_no: str
    payable: str
    channel: str
    state: str
    amount_fen: int
    received_fen: int | None
    refunded_fen: int
    applied: bool
    transaction_id: str | None
    received_at: datetime | None
    created_at: datetime


class RefundRow(msgspec.Struct, rename="camel"):
    out_refund_no: str
    payable: str
    cause: str
    amount_fen: int
    reason: str
    state: str
    refund_id: str | None
    last_error: str | None
    requested_by: str
    requested_at: datetime
    succeeded_at: datetime | None


class ExceptionRow(msgspec.Struct, rename="camel"):
    id: str
    kind: str
    reference: str
    out_trade_no: str | None
    payable: str | None
    refund: RefundRow | None
    facts: dict[str, Any]
    created_at: datetime
    resolved_at: datetime | None
    resolution: str | None


class Resolution(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What a person decided, in words."""

    resolution: Line


class ExceptionNotFound(NotFound):
    """There is no such payment exception."""

    zh = "未找到该异常"


class AlreadyResolved(Conflict):
    """This exception has been resolved already."""

    zh = "该异常已处理"


def _payment(row: Payment) -> PaymentRow:
    return msgspec.convert(row, PaymentRow, from_attributes=True)


def _refund(row: Refund) -> RefundRow:
    return msgspec.convert(row, RefundRow, from_attributes=True)


@get(
    "/payments",
    operation_id="listPayments",
    summary="Attempts to be paid, newest first",
    guards=[requires("payments.read")],
    responses=declared(*STAFF),
)
async def list_payments(
    db: NamedDependency[Database],
    payable: QueryNo = None,
    cursor: QueryCursor = None,
    limit: QueryLimit = 20,
) -> Page[PaymentRow]:
    statement = select(Payment).order_by(Payment.id.desc()).limit(limit + 1)
    if payable:
        statement = statement.where(Payment.payable == payable)
    if cursor:
        statement = statement.where(Payment.id < decode_cursor(cursor, (int,))[0])
    async with db.begin() as session:
        found = page(list(await session.scalars(statement)), limit, lambda row: (row.id,))
    return Page([_payment(row) for row in found.items], found.next_cursor)


@get(
    "/refunds",
    operation_id="listRefunds",
    summary="Refunds, newest first",
    guards=[requires("payments.read")],
    responses=declared(*STAFF),
)
async def list_refunds(
    db: NamedDependency[Database],
    payable: QueryNo = None,
    cursor: QueryCursor = None,
    limit: QueryLimit = 20,
) -> Page[RefundRow]:
    statement = select(Refund).order_by(Refund.id.desc()).limit(limit + 1)
    if payable:
        statement = statement.where(Refund.payable == payable)
    if cursor:
        statement = statement.where(Refund.id < decode_cursor(cursor, (int,))[0])
    async with db.begin() as session:
        found = page(list(await session.scalars(statement)), limit, lambda row: (row.id,))
    return Page([_refund(row) for row in found.items], found.next_cursor)


@get(
    "/payment-exceptions",
    operation_id="listPaymentExceptions",
    summary="Money and news that did not fit, newest first",
    guards=[requires("payments.read")],
    responses=declared(*STAFF),
)
async def list_exceptions(
    db: NamedDependency[Database],
    open_only: Annotated[bool, QueryParameter(name="openOnly", description="Only those that nobody resolved")] = False,
    cursor: QueryCursor = None,
    limit: QueryLimit = 20,
) -> Page[ExceptionRow]:
    statement = (
        select(PaymentException, Payment, Refund)
        .outerjoin(Payment, Payment.id == PaymentException.payment_id)
        .outerjoin(Refund, Refund.id == PaymentException.refund_id)
        .order_by(PaymentException.id.desc())
        .limit(limit + 1)
    )
    if open_only:
        statement = statement.where(PaymentException.resolved_at.is_(None))
    if cursor:
        statement = statement.where(PaymentException.id < decode_cursor(cursor, (int,))[0])
    async with db.begin() as session:
        rows = [_exception(case, payment, refund) for case, payment, refund in await session.execute(statement)]
    return page(rows, limit, lambda row: (int(row.id),))


def _exception(case: PaymentException, payment: Payment | None, refund: Refund | None) -> ExceptionRow:
    return ExceptionRow(
        id=str(case.id),
        kind=case.kind,
        reference=case.reference,
        out_trade_no=payment.out_trade_no if payment else None,
        payable=payment.payable if payment else None,
        refund=_refund(refund) if refund else None,
        facts=case.facts,
        created_at=case.created_at,
        resolved_at=case.resolved_at,
        resolution=case.resolution,
    )


@post(
    "/payment-exceptions/{case_id:str}/resolve",
    operation_id="resolvePaymentException",
    summary="A person has dealt with it",
    guards=[requires("payments.decide")],
    responses=declared(*STAFF, *BODY, ExceptionNotFound, AlreadyResolved),
    status_code=204,
)
async def resolve_exception(
    request: Request[Any, Any, Any],
    case_id: PathId,
    data: JSONBody[Resolution],
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> None:
    actor, now = actor_of(request), clock.now()
    async with db.begin() as session:
        case = await session.get(PaymentException, as_id(case_id), with_for_update=True)
        if case is None:
            raise ExceptionNotFound
        if case.resolved_at is not None:
            raise AlreadyResolved
        case.resolved_at, case.resolved_by, case.resolution = now, actor.label, data.resolution
        await audit.record(
            session,
            at=now,
            actor=actor.label,
            action="payment_exception.resolve",
            subject=("payment_exception", case.id),
        )


ROUTES: list[Any] = [list_payments, list_refunds, list_exceptions, resolve_exception]
