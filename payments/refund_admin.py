"""What staff do about refunds: see them, approve or reject, set going again, send elsewhere, have WeChat asked."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

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
from kit.errors import InvalidInput, invalid
from kit.fields import Line
from kit.idempotency import KeyReused, StillRunning
from kit.paging import Page, decode_cursor, page
from kit.web.actor import Actor, actor_of, requires
from kit.web.declared import BODY, STAFF, declared
from kit.web.idempotent import IdempotencyKey
from kit.web.parameters import QueryCursor, QueryLimit, QueryNo, bounded
from payments import refund_repair, refund_views, refunds
from payments.asking import WeChatPayUnknown
from payments.models import Payment, Refund, RefundState
from payments.ports import Payee
from payments.refund_repair import (
    AbnormalRefused,
    BankCard,
    NotAbnormal,
    NothingToRetry,
    RefundAgain,
    RefundBegunAgain,
)
from payments.refund_views import RefundDetail, RefundRow
from payments.refunds import OwnRefund, RefundNotFound, RefundNotWaiting, RefundTooLate, RefundTooMuch, TooManyRefunds
from payments.wechatpay.gateway import Gateway

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
_ONCE = (*STAFF, RefundNotFound, KeyReused, StillRunning)


class Rejection(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Why the money stays; for the audit."""

    reason: Line


class OtherAccount(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """`merchantBankCard` takes nothing more; `userBankCard` takes all three of the others.

    They are sealed to WeChat Pay and neither kept nor logged. `bankType` is one of WeChat's, like `ICBC_DEBIT`.
    """

    kind: Literal["merchantBankCard", "userBankCard"]
    bank_type: Annotated[str, Meta(max_length=16, pattern=r"^[A-Z]+_DEBIT$(?!\n)")] | None = None
    bank_account: Annotated[str, Meta(pattern=r"^[0-9]{8,32}$(?!\n)")] | None = None
    real_name: Annotated[str, Meta(min_length=1, max_length=64)] | None = None

    def card(self) -> BankCard | None:
        """Raises `InvalidInput` (400) naming the field that is missing, or too many."""
        given = {"bankType": self.bank_type, "bankAccount": self.bank_account, "realName": self.real_name}
        for field, value in given.items():
            if (value is None) != (self.kind == "merchantBankCard"):
                raise invalid(field, "is not for this kind" if value else "is needed for this kind")
        if self.kind == "merchantBankCard":
            return None
        assert self.bank_type is not None
        assert self.bank_account is not None
        assert self.real_name is not None
        return BankCard(bank_type=self.bank_type, account=self.bank_account, holder=self.real_name)


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
    responses=declared(*_ONCE, RefundNotWaiting, RefundTooLate, OwnRefund),
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
    responses=declared(*_ONCE, *BODY, RefundNotWaiting, OwnRefund),
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
        await refunds.reject(session, payee, no, by=actor.label, at=now)

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
            await _record(session, actor, verb, no, now, **({"reason": data.reason} if data else {}))
            return await refund_views.get(session, no, actor.label)

        return await idempotency.once(session, wish, now, work, RefundDetail)


@post(
    "/refunds/{no:str}/retry",
    operation_id="retryRefund",
    summary="Set a refund going again whose hindrance is gone",
    guards=[requires("payments.decide")],
    status_code=200,
    responses=declared(
        *_ONCE, NothingToRetry, RefundAgain, RefundBegunAgain, RefundTooLate, TooManyRefunds, RefundTooMuch, WeChatPayUnknown
    ),
)  # fmt: skip
async def retry_refund(
    request: Req,
    no: PathRefund,
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    payee: NamedDependency[Payee],
    clock: NamedDependency[Clock],
) -> RefundDetail:
    actor, now = actor_of(request), clock.now()
    wish = idempotency.intent(actor.label, f"retryRefund:{no}", idempotency_key, None)

    async def work(_again: bool) -> RefundDetail:
        goes_on = await refund_repair.retry(db, gateway, payee, clock, no, by=actor.label)
        async with db.begin() as session:
            await _record(session, actor, "retry", no, now, goes_on=goes_on)
            return await refund_views.get(session, goes_on, actor.label)

    return await idempotency.through(db, wish, now, work, RefundDetail)


@post(
    "/refunds/{no:str}/apply-abnormal",
    operation_id="applyAbnormalRefund",
    summary="Send an abnormal refund to a bank card",
    guards=[requires("payments.decide")],
    status_code=200,
    responses=declared(*_ONCE, *BODY, NotAbnormal, AbnormalRefused, WeChatPayUnknown),
)
async def apply_abnormal(
    request: Req,
    no: PathRefund,
    data: JSONBody[OtherAccount],
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    payee: NamedDependency[Payee],
    clock: NamedDependency[Clock],
) -> RefundDetail:
    actor, now, card = actor_of(request), clock.now(), data.card()
    # Not even a hash of the card is kept: its few digits could be found by trying.
    wish = idempotency.intent(actor.label, f"applyAbnormalRefund:{no}", idempotency_key, data.kind)

    async def work(again: bool) -> RefundDetail:
        await refund_repair.apply_abnormal(db, gateway, payee, clock, no, card, again=again)
        async with db.begin() as session:
            await _record(session, actor, "apply_abnormal", no, now, kind=data.kind)
            return await refund_views.get(session, no, actor.label)

    return await idempotency.through(db, wish, now, work, RefundDetail)


@post(
    "/refunds/{no:str}/refresh",
    operation_id="refreshRefund",
    summary="Ask WeChat Pay about a refund, also about one that was made in its merchant portal",
    guards=[requires("payments.decide")],
    status_code=200,
    responses=declared(*STAFF, InvalidInput, RefundNotFound, WeChatPayUnknown),
)
async def refresh_refund(
    request: Req,
    no: PathRefund,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    payee: NamedDependency[Payee],
    clock: NamedDependency[Clock],
) -> RefundDetail:
    actor = actor_of(request)
    await refund_repair.follow(db, gateway, payee, clock, no)
    async with db.begin() as session:
        shown = await refund_views.get(session, no, actor.label)
        await _record(session, actor, "refresh", no, clock.now(), state=shown.state)
        return shown


async def _record(session: AsyncSession, actor: Actor, verb: str, no: str, at: datetime, **facts: Any) -> None:
    await audit.record(session, at=at, actor=actor.label, action=f"refund.{verb}", subject=("refund", no), facts=facts)


ROUTES: list[Any] = [
    list_refunds,
    get_refund,
    approve_refund,
    reject_refund,
    retry_refund,
    apply_abnormal,
    refresh_refund,
]
