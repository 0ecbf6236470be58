"""What staff call: refund an order."""

from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from kit import audit, idempotency
from kit.clock import Clock
from kit.database import Database
from kit.errors import invalid
from kit.fields import Fen, Id, Quantity, as_id
from kit.idempotency import KeyReused, StillRunning
from kit.web.actor import actor_of, requires
from kit.web.declared import BODY, STAFF, declared
from kit.web.idempotent import IdempotencyKey
from kit.web.parameters import PathNo
from kit.web.problems import language_of
from payments.refunds import PaidElsewhere, RefundTooLate, RefundTooMuch, TooManyRefunds
from shop.aftersales import refunding, views
from shop.aftersales.claims import (
    Claim,
    FreightTooMuch,
    LineTooMuch,
    MoreThanOrdered,
    NothingToRefund,
    OrderTooMuch,
    UnknownLine,
)
from shop.aftersales.refunding import NotPaid
from shop.aftersales.views import AfterSaleView
from shop.orders import listing
from shop.orders.history import OrderNotFound

Req = Request[Any, Any, Any]
SomeFen = Annotated[int, Meta(ge=1, le=1_000_000_000, description="Money in fen (1/100 yuan), more than none")]
Reason = Annotated[
    str, Meta(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]*$(?!\n)")
]


class RefundedLine(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """`quantity` pieces with their share of the money, or `amountFen` alone: the pieces are kept, or still to be sent.

    The amount that takes all the money left of the line takes its pieces as well.
    """

    line_id: Id
    quantity: Quantity | None = None
    amount_fen: SomeFen | None = None


class RefundWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Lines, freight, or a plain `amountFen` (alone), which is spread over all that is left of the order.

    `restock` unset: only what was never shipped goes back on sale.
    """

    reason: Reason
    lines: Annotated[list[RefundedLine], Meta(max_length=50)] = []
    freight_fen: Fen = 0
    amount_fen: SomeFen | None = None
    restock: bool | None = None

    def claims(self) -> list[Claim]:
        """Raises `InvalidInput` (400) naming the field."""
        if self.amount_fen is not None and (self.lines or self.freight_fen):
            raise invalid("amountFen", "stands alone, without lines and freightFen")
        for place, line in enumerate(self.lines):
            if (line.quantity is None) == (line.amount_fen is None):
                raise invalid(f"lines[{place}]", "takes either quantity or amountFen")
        return [Claim(as_id(line.line_id), line.quantity or 0, line.amount_fen or 0) for line in self.lines]


@post(
    "/orders/{no:str}/refunds",
    operation_id="refundOrder",
    summary="Refund an order: lines, freight, or a plain amount",
    guards=[requires("orders.refund")],
    responses=declared(
        *STAFF, *BODY, OrderNotFound, NotPaid, PaidElsewhere, RefundTooLate, TooManyRefunds, UnknownLine,
        MoreThanOrdered, LineTooMuch, FreightTooMuch, OrderTooMuch, NothingToRefund, RefundTooMuch, KeyReused,
        StillRunning,
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
    claims = data.claims()
    async with db.begin() as session:

        async def work() -> AfterSaleView:
            sale = await refunding.request(
                session,
                no,
                claims,
                freight_fen=data.freight_fen,
                amount_fen=data.amount_fen or 0,
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
            await session.flush()
            shown = await views.for_staff(session, await listing.get(session, no), language_of(request))
            return next(view for view in shown if view.no == sale.no)

        return await idempotency.once(session, wish, now, work, AfterSaleView)


@get(
    "/orders/{no:str}/refunds",
    operation_id="listOrderRefunds",
    summary="The after-sales of an order",
    guards=[requires("orders.read")],
    responses=declared(*STAFF, OrderNotFound),
)
async def list_order_refunds(request: Req, no: PathNo, db: NamedDependency[Database]) -> list[AfterSaleView]:
    async with db.begin() as session:
        order = await listing.get(session, no)
        return await views.for_staff(session, order, language_of(request))


ROUTES: list[Any] = [refund_order, list_order_refunds]
