"""What the Mini Program calls: preview and placing."""

from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from catalog.offers import NotOnSale, UnknownSku
from catalog.stock import OutOfStock
from kit.database import Database
from kit.errors import SignInNeeded
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
    TooManyKinds,
    TooManyUnpaid,
)
from shop.orders.own_placing import OwnPlacing, wish_of
from shop.orders.pricing import OrderTooLarge
from shop.orders.schemas import (
    OrderDetail,
    PlaceWish,
    PreviewView,
    PreviewWish,
)

Req = Request[Any, Any, Any]
_WISH = (*BODY, SignInNeeded, EmptyWish, TooManyKinds, UnknownSku, OrderTooLarge)


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
        considered = await checkout.consider(session, member, wish_of(data))
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
    own_placing: NamedDependency[OwnPlacing],
    member: NamedDependency[SignedIn],
) -> Response[OrderDetail]:
    return Ready(await own_placing.place(member, data, idempotency_key, language_of(request)), 201)


ROUTES: list[Any] = [preview_checkout, place_order]
