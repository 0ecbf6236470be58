"""What staff see and do about money that did not fit."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit import audit, idempotency
from kit.clock import Clock
from kit.database import Database
from kit.fields import Line, Word, as_id
from kit.idempotency import KeyReused, StillRunning
from kit.paging import Page, decode_cursor, page
from kit.web.actor import actor_of, requires
from kit.web.declared import BODY, STAFF, declared
from kit.web.idempotent import IdempotencyKey
from kit.web.parameters import PathId, QueryCursor, QueryLimit, bounded
from payments import asking, exceptions
from payments.asking import WeChatPayUnknown
from payments.exceptions import AlreadyResolved, ExceptionNotFound, NotApplicable, NothingHeld, RefundBegun
from payments.models import Payment, PaymentException, Refund
from payments.ports import Payee
from payments.wechatpay.gateway import Gateway

Req = Request[Any, Any, Any]


class AnsweringRefund(msgspec.Struct, rename="camel"):
    """The refund that carries the money of a case back."""

    out_refund_no: str
    amount_fen: int
    state: str
    last_error: str | None


class ExceptionRow(msgspec.Struct, rename="camel"):
    """A case: what is known of it, and what can be done (`actions`)."""

    id: str
    kind: str
    reference: str
    out_trade_no: str | None
    payable: str | None
    payment_state: str | None
    asked_fen: int | None
    received_fen: int | None
    refund: AnsweringRefund | None
    facts: dict[str, Any]
    actions: list[str]
    created_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None


class Resolution(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What a person decided, in words."""

    resolution: Line


_ROWS = (
    select(PaymentException, Payment, Refund)
    .outerjoin(Payment, Payment.id == PaymentException.payment_id)
    .outerjoin(Refund, Refund.id == PaymentException.refund_id)
)


def _row(case: PaymentException, payment: Payment | None, refund: Refund | None) -> ExceptionRow:
    return ExceptionRow(
        id=str(case.id),
        kind=case.kind,
        reference=case.reference,
        out_trade_no=payment.out_trade_no if payment else None,
        payable=payment.payable if payment else None,
        payment_state=payment.state if payment else None,
        asked_fen=payment.amount_fen if payment else None,
        received_fen=payment.received_fen if payment else None,
        refund=msgspec.convert(refund, AnsweringRefund, from_attributes=True) if refund else None,
        facts=case.facts,
        actions=exceptions.actions(case, payment, refund),
        created_at=case.created_at,
        resolved_at=case.resolved_at,
        resolved_by=case.resolved_by,
        resolution=case.resolution,
    )


async def _get(session: AsyncSession, case_id: int) -> ExceptionRow:
    found = (await session.execute(_ROWS.where(PaymentException.id == case_id))).one_or_none()
    if found is None:
        raise ExceptionNotFound
    return _row(*found)


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
    kind: Annotated[str | None, bounded(QueryParameter, Word, description="Only those of this kind")] = None,
    cursor: QueryCursor = None,
    limit: QueryLimit = 20,
) -> Page[ExceptionRow]:
    statement = _ROWS.order_by(PaymentException.id.desc()).limit(limit + 1)
    if open_only:
        statement = statement.where(PaymentException.resolved_at.is_(None))
    if kind:
        statement = statement.where(PaymentException.kind == kind)
    if cursor:
        statement = statement.where(PaymentException.id < decode_cursor(cursor, (int,))[0])
    async with db.begin() as session:
        rows = [_row(*found) for found in await session.execute(statement)]
    return page(rows, limit, lambda row: (int(row.id),))


@get(
    "/payment-exceptions/{case_id:str}",
    operation_id="getPaymentException",
    summary="One case: what is known and what can be done",
    guards=[requires("payments.read")],
    responses=declared(*STAFF, ExceptionNotFound),
)
async def get_exception(case_id: PathId, db: NamedDependency[Database]) -> ExceptionRow:
    async with db.begin() as session:
        return await _get(session, as_id(case_id))


@post(
    "/payment-exceptions/{case_id:str}/resolve",
    operation_id="resolvePaymentException",
    summary="A person has dealt with it",
    guards=[requires("payments.decide")],
    responses=declared(*STAFF, *BODY, ExceptionNotFound, AlreadyResolved),
    status_code=204,
)
async def resolve_exception(
    request: Req,
    case_id: PathId,
    data: JSONBody[Resolution],
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> None:
    actor, now = actor_of(request), clock.now()
    async with db.begin() as session:
        case, _payment = await exceptions.lock(session, as_id(case_id))
        exceptions.resolve(case, data.resolution, by=actor.label, at=now)
        await _done(session, case, "resolve", actor.label, now)


@post(
    "/payment-exceptions/{case_id:str}/send-back",
    operation_id="sendBackPaymentException",
    summary="Send the money that is held back to who paid it",
    guards=[requires("payments.decide")],
    responses=declared(*STAFF, ExceptionNotFound, AlreadyResolved, NothingHeld, RefundBegun, KeyReused, StillRunning),
    status_code=200,
)
async def send_back_exception(
    request: Req,
    case_id: PathId,
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> ExceptionRow:
    actor, now = actor_of(request), clock.now()
    wish = idempotency.intent(actor.label, f"sendBackPaymentException:{case_id}", idempotency_key, None)
    async with db.begin() as session:

        async def work() -> ExceptionRow:
            case, payment = await exceptions.lock(session, as_id(case_id))
            await exceptions.send_back(session, case, payment, by=actor.label, at=now)
            return await _done(session, case, "send_back", actor.label, now)

        return await idempotency.once(session, wish, now, work, ExceptionRow)


@post(
    "/payment-exceptions/{case_id:str}/apply",
    operation_id="applyPaymentException",
    summary="Let the money that is held pay for its order, now that it fits",
    guards=[requires("payments.decide")],
    responses=declared(
        *STAFF, ExceptionNotFound, AlreadyResolved, NothingHeld, RefundBegun, NotApplicable, KeyReused, StillRunning,
        WeChatPayUnknown,
    ),
    status_code=200,
)  # fmt: skip
async def apply_exception(
    request: Req,
    case_id: PathId,
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    payee: NamedDependency[Payee],
    clock: NamedDependency[Clock],
) -> ExceptionRow:
    actor, now = actor_of(request), clock.now()
    gone = await exceptions.not_at_wechat(db, gateway, payee, clock, as_id(case_id))
    wish = idempotency.intent(actor.label, f"applyPaymentException:{case_id}", idempotency_key, None)
    async with db.begin() as session:

        async def work() -> ExceptionRow:
            case, payment = await exceptions.lock(session, as_id(case_id))
            await exceptions.apply(session, payee, case, payment, gone, by=actor.label, at=now)
            return await _done(session, case, "apply", actor.label, now)

        return await idempotency.once(session, wish, now, work, ExceptionRow)


@post(
    "/payment-exceptions/{case_id:str}/ask",
    operation_id="askPaymentException",
    summary="Ask WeChat Pay again about the payment of this case",
    guards=[requires("payments.decide")],
    responses=declared(*STAFF, ExceptionNotFound, AlreadyResolved, WeChatPayUnknown),
    status_code=200,
)
async def ask_exception(
    case_id: PathId,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    payee: NamedDependency[Payee],
    clock: NamedDependency[Clock],
) -> ExceptionRow:
    async with db.begin() as session:
        _case, payment = await exceptions.lock(session, as_id(case_id))
    if payment is not None:
        await asking.ask(db, gateway, payee, clock, payment.out_trade_no)
    async with db.begin() as session:
        return await _get(session, as_id(case_id))


async def _done(session: AsyncSession, case: PaymentException, verb: str, by: str, at: datetime) -> ExceptionRow:
    """Audit it, and show what it is now."""
    subject = ("payment_exception", case.id)
    await audit.record(session, at=at, actor=by, action=f"payment_exception.{verb}", subject=subject)
    await session.flush()
    return await _get(session, case.id)


ROUTES: list[Any] = [
    list_exceptions,
    get_exception,
    resolve_exception,
    send_back_exception,
    apply_exception,
    ask_exception,
]
