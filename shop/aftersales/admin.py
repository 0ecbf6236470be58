"""What staff call: refund lines of an order."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy import select

from kit import audit, idempotency
from kit.clock import Clock
from kit.database import Database
from kit.fields import Fen, Id, Quantity, as_id
from kit.idempotency import KeyReused, StillRunning
from kit.web.actor import actor_of, requires
from kit.web.declared import BODY, STAFF, declared
from kit.web.idempotent import IdempotencyKey
from kit.web.parameters import PathNo
from payments.refunds import RefundTooMuch
from shop.aftersales import refunding
from shop.aftersales.claims import Claim, FreightTooMuch, MoreThanOrdered, NothingToRefund, UnknownLine
from shop.aftersales.models import AfterSale, AfterSaleLine
from shop.aftersales.refunding import NotPaid
from shop.orders import listing
from shop.orders.history import OrderNotFound

Req = Request[Any, Any, Any]
Reason = Annotated[
    str, Meta(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]*$(?!\n)")
]


class RefundedLine(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    line_id: Id
    quantity: Quantity


class RefundWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Pieces of lines, and freight. `restock` unset: only what was never shipped goes back on sale."""

    reason: Reason
    lines: Annotated[list[RefundedLine], Meta(max_length=50)] = []
    freight_fen: Fen = 0
    restock: bool | None = None


class AfterSaleLineView(msgspec.Struct, rename="camel"):
    line_id: str
    quantity: int
    amount_fen: int


class AfterSaleView(msgspec.Struct, rename="camel"):
    """`state`: `refunding`, `refunded`, or `failed` (then a payment exception says why)."""

    no: str
    order_no: str
    state: str
    amount_fen: int
    freight_fen: int
    reason: str
    restock: bool
    lines: list[AfterSaleLineView]
    requested_by: str
    requested_at: datetime
    ended_at: datetime | None


@post(
    "/orders/{no:str}/refunds",
    operation_id="refundOrder",
    summary="Refund lines of an order",
    guards=[requires("orders.refund")],
    responses=declared(
        *STAFF, *BODY, OrderNotFound, NotPaid, UnknownLine, MoreThanOrdered, FreightTooMuch, NothingToRefund,
        RefundTooMuch, KeyReused, StillRunning,
    ),
)  # fmt: skip
async def refund_order(
    request: Req,
    no: PathNo,
    data: JSONBody[RefundWish],
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> AfterSaleView:
    actor, now = actor_of(request), clock.now()
    wish = idempotency.intent(actor.label, f"refundOrder:{no}", idempotency_key, data)
    claims = [Claim(as_id(line.line_id), line.quantity) for line in data.lines]
    async with db.begin() as session:

        async def work() -> AfterSaleView:
            sale = await refunding.request(
                session,
                no,
                claims,
                freight_fen=data.freight_fen,
                reason=data.reason,
                restock=data.restock,
                by=actor.label,
                at=now,
            )
            await audit.record(
                session,
                at=now,
                actor=actor.label,
                action="order.refund",
                subject=("order", no),
                facts={"after_sale": sale.no, "amount_fen": sale.amount_fen},
            )
            return await _view(session, sale, no)

        return await idempotency.once(session, wish, now, work, AfterSaleView)


@get(
    "/orders/{no:str}/refunds",
    operation_id="listOrderRefunds",
    summary="The after-sales of an order",
    guards=[requires("orders.read")],
    responses=declared(*STAFF, OrderNotFound),
)
async def list_order_refunds(no: PathNo, db: NamedDependency[Database]) -> list[AfterSaleView]:
    async with db.begin() as session:
        order = (await listing.get(session, no)).order
        statement = select(AfterSale).where(AfterSale.order_id == order.id).order_by(AfterSale.id)
        return [await _view(session, sale, no) for sale in await session.scalars(statement)]


async def _view(session: Any, sale: AfterSale, order_no: str) -> AfterSaleView:
    parts = await session.scalars(select(AfterSaleLine).where(AfterSaleLine.after_sale_id == sale.id))
    return AfterSaleView(
        no=sale.no,
        order_no=order_no,
        state=sale.state,
        amount_fen=sale.amount_fen,
        freight_fen=sale.freight_fen,
        reason=sale.reason,
        restock=sale.restock,
        lines=[AfterSaleLineView(str(part.order_line_id), part.quantity, part.amount_fen) for part in parts],
        requested_by=sale.requested_by,
        requested_at=sale.requested_at,
        ended_at=sale.ended_at,
    )


ROUTES: list[Any] = [refund_order, list_order_refunds]
