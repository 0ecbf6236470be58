"""What the Mini Program calls: preview and placing."""

from typing import Any

import msgspec
import structlog
from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from catalog.offers import NotOnSale, UnknownSku
from catalog.stock import OutOfStock
from kit import idempotency
from kit.clock import Clock
from kit.database import Database
from kit.errors import SignInNeeded, invalid
from kit.fields import as_id
from kit.idempotency import KeyReused, StillRunning
from kit.web.declared import BODY, declared
from kit.web.idempotent import IdempotencyKey
from kit.web.problems import language_of
from kit.web.ready import Ready
from shop.members.edge import MEMBER_ONLY
from shop.members.sessions import SignedIn
from shop.orders import checkout, views
from shop.orders.checkout import (
    AddressNeeded,
    EmptyWish,
    NotDelivered,
    PriceChanged,
    TooManyUnpaid,
    Wish,
)
from shop.orders.drafts import OPERATION, Ask
from shop.orders.placing import Placing
from shop.orders.pricing import OrderTooLarge
from shop.orders.schemas import (
    OrderDetail,
    PlaceWish,
    PreviewView,
    PreviewWish,
)

Req = Request[Any, Any, Any]
_WISH = (*BODY, SignInNeeded, EmptyWish, UnknownSku, OrderTooLarge)


def _wish(data: PreviewWish) -> Wish:
    if data.from_cart and data.lines:
        raise invalid("lines", "give either lines or fromCart, not both")
    return Wish(
        lines=[(as_id(line.sku_id), line.quantity) for line in data.lines],
        from_cart=data.from_cart,
        address_id=as_id(data.address_id) if data.address_id else None,
        note=data.note if isinstance(data, PlaceWish) else "",
        source=msgspec.to_builtins(data.source) if isinstance(data, PlaceWish) else {},
    )


@post(
    "/checkout/preview",
    operation_id="previewCheckout",
    summary="What it would cost, and what stands in the way",
    tags=["checkout"],
    security=MEMBER_ONLY,
    responses=declared(*_WISH),
    status_code=200,
)
async def preview_checkout(
    request: Req,
    data: JSONBody[PreviewWish],
    db: NamedDependency[Database],
    member: NamedDependency[SignedIn],
) -> PreviewView:
    async with db.begin() as session:
        considered = await checkout.consider(session, member, _wish(data))
    return views.preview(considered, language_of(request))


@post(
    "/orders",
    operation_id="placeOrder",
    summary="Place an order: all of it, or nothing",
    tags=["checkout"],
    security=MEMBER_ONLY,
    responses=declared(
        *_WISH, KeyReused, StillRunning, NotOnSale, OutOfStock, PriceChanged, AddressNeeded, NotDelivered, TooManyUnpaid
    ),
)
async def place_order(
    request: Req,
    data: JSONBody[PlaceWish],
    idempotency_key: IdempotencyKey,
    placing: NamedDependency[Placing],
    clock: NamedDependency[Clock],
    member: NamedDependency[SignedIn],
) -> Response[OrderDetail]:
    language = language_of(request)
    ask = Ask(
        member=member,
        wish=_wish(data),
        expected_fen=data.expected_pay_fen,
        intent=idempotency.intent(member.label, OPERATION, idempotency_key, data),
        at=clock.now(),
        language=language,
    )
    try:
        placed = await placing.place(ask)
    except PriceChanged as changed:
        changed.facts["preview"] = views.preview(changed.facts.pop("considered"), language)
        raise
    structlog.contextvars.bind_contextvars(order=placed.no)
    return Ready(placed.body, 201)


ROUTES: list[Any] = [preview_checkout, place_order]
