"""What staff call: payments declared to customs."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit import audit, idempotency
from kit.clock import Clock
from kit.database import Database
from kit.fields import Fen, No, as_id
from kit.idempotency import KeyReused, StillRunning
from kit.paging import Page, decode_cursor, page
from kit.web.actor import actor_of, requires
from kit.web.declared import BODY, STAFF, declared
from kit.web.idempotent import IdempotencyKey
from kit.web.parameters import PathId, PathNo, QueryCursor, QueryLimit, bounded
from payments.models import Payment
from payments.payouts import customs, locking
from payments.payouts.customs import (
    Amendment,
    DeclarationNotFound,
    DeclaredAlready,
    DeclaredTooMuch,
    NotDeclarable,
    NotDeclaredAgain,
    SubOrder,
)
from payments.payouts.customs_models import Customs, Declaration, DeclarationState
from payments.payouts.locking import PaymentNotFound

Req = Request[Any, Any, Any]
CustomsNo = Annotated[
    str, Meta(pattern=r"^[0-9A-Za-z]{1,32}$(?!\n)", description="The merchant's number at that office")
]


class SubOrderWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """One part of a payment that is declared in parts."""

    no: No
    transport_fen: Fen
    product_fen: Fen


class DeclarationWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    customs: Customs
    merchant_customs_no: CustomsNo
    duty_fen: Fen | None = None
    sub_order: SubOrderWish | None = None


class DeclarationRow(msgspec.Struct, rename="camel"):
    """`state`: WeChat's own, in small letters; before and instead of it `requested` and `refused`."""

    id: str
    out_trade_no: str
    customs: Customs
    merchant_customs_no: str
    duty_fen: int | None
    sub_order_no: str
    order_fen: int | None
    state: DeclarationState
    verify_department: str | None
    verify_department_trade_id: str | None
    explanation: str | None
    last_error: str | None
    turns: int
    requested_by: str
    requested_at: datetime
    ended_at: datetime | None


def _view(row: Declaration, out_trade_no: str) -> DeclarationRow:
    kept = {name: getattr(row, name) for name in DeclarationRow.__struct_fields__ if name not in {"id", "out_trade_no"}}
    kept |= {"customs": Customs(row.customs), "state": DeclarationState(row.state)}
    return DeclarationRow(id=str(row.id), out_trade_no=out_trade_no, **kept)


async def _shown(session: AsyncSession, row: Declaration) -> DeclarationRow:
    payment = await session.get_one(Payment, row.payment_id)
    return _view(row, payment.out_trade_no)


@post(
    "/payments/{no:str}/declarations",
    operation_id="declarePayment",
    summary="Declare a payment to customs",
    guards=[requires("payouts.create")],
    responses=declared(
        *STAFF, *BODY, PaymentNotFound, NotDeclarable, DeclaredAlready, DeclaredTooMuch, KeyReused, StillRunning
    ),
)
async def declare_payment(
    request: Req,
    no: PathNo,
    data: JSONBody[DeclarationWish],
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> DeclarationRow:
    by, now = actor_of(request).label, clock.now()
    key = idempotency.intent(by, f"declarePayment:{no}", idempotency_key, data)
    asked = data.sub_order
    part = None if asked is None else SubOrder(asked.no, asked.transport_fen, asked.product_fen)
    wish = customs.Wish(data.customs, data.merchant_customs_no, data.duty_fen, part)
    async with db.begin() as session:

        async def work() -> DeclarationRow:
            payment = await locking.by_number(session, no)
            row = await customs.request(session, payment, wish, by=by, at=now)
            facts = {"declaration": row.id, "customs": data.customs}
            await audit.record(
                session, at=now, actor=by, action="payment.declare", subject=("payment", no), facts=facts
            )
            return _view(row, no)

        return await idempotency.once(session, key, now, work, DeclarationRow)


class AmendmentWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """After a failure other values may be told; else both stay unset."""

    merchant_customs_no: CustomsNo | None = None
    duty_fen: Fen | None = None


@post(
    "/declarations/{declaration_id:str}/again",
    operation_id="declareAgain",
    summary="Tell customs once more",
    guards=[requires("payouts.create")],
    responses=declared(*STAFF, *BODY, DeclarationNotFound, NotDeclaredAgain),
    status_code=200,
)
async def declare_again(
    request: Req,
    declaration_id: PathId,
    data: JSONBody[AmendmentWish],
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> DeclarationRow:
    by, now, which = actor_of(request).label, clock.now(), as_id(declaration_id)
    async with db.begin() as session:
        row = await customs.again(session, which, Amendment(data.merchant_customs_no, data.duty_fen), by=by, at=now)
        await audit.record(session, at=now, actor=by, action="declaration.again", subject=("declaration", which))
        return await _shown(session, row)


@get(
    "/declarations",
    operation_id="listDeclarations",
    summary="Declarations to customs, newest first",
    guards=[requires("payments.read")],
    responses=declared(*STAFF),
)
async def list_declarations(
    db: NamedDependency[Database],
    out_trade_no: Annotated[str | None, bounded(QueryParameter, No, "outTradeNo")] = None,
    cursor: QueryCursor = None,
    limit: QueryLimit = 20,
) -> Page[DeclarationRow]:
    statement = (
        select(Declaration, Payment.out_trade_no)
        .join(Payment, Payment.id == Declaration.payment_id)
        .order_by(Declaration.id.desc())
        .limit(limit + 1)
    )
    if out_trade_no:
        statement = statement.where(Payment.out_trade_no == out_trade_no)
    if cursor:
        statement = statement.where(Declaration.id < decode_cursor(cursor, (int,))[0])
    async with db.begin() as session:
        rows = [_view(row, number) for row, number in await session.execute(statement)]
    return page(rows, limit, lambda row: (int(row.id),))


ROUTES: list[Any] = [declare_payment, declare_again, list_declarations]
