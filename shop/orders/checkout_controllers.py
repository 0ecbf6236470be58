"""What the Mini Program calls: preview and placing."""

from typing import Any

import msgspec
import structlog
from litestar import Request, post
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
from shop.members.edge import MEMBER_ONLY
from shop.members.sessions import SignedIn
from shop.orders import checkout, listing, views
from shop.orders.checkout import (
    AddressNeeded,
    EmptyWish,
    NotDelivered,
    PriceChanged,
    TooManyUnpaid,
    Wish,
)
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
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
    member: NamedDependency[SignedIn],
) -> OrderDetail:
    now, language = clock.now(), language_of(request)
    wish = idempotency.intent(member.label, "placeOrder", idempotency_key, data)
    try:
        async with db.begin() as session:

            async def work() -> OrderDetail:
                order = await checkout.place(session, member, _wish(data), data.expected_pay_fen, now)
                structlog.contextvars.bind_contextvars(order=order.no)
                return views.detail(await listing.get(session, order.no), now, language)

            return await idempotency.once(session, wish, now, work, OrderDetail)
    except PriceChanged as changed:
        changed.facts["preview"] = views.preview(changed.facts.pop("considered"), language)
        raise


ROUTES: list[Any] = [preview_checkout, place_order]
