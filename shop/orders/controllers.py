"""What the Mini Program calls: orders. Their payment is in `payment_controllers`."""

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody

from kit import idempotency
from kit.clock import Clock
from kit.database import Database
from kit.errors import InvalidInput, SignInNeeded
from kit.idempotency import KeyReused, StillRunning
from kit.paging import Page
from kit.web.declared import BODY, declared
from kit.web.idempotent import IdempotencyKey
from kit.web.parameters import PathNo, QueryCursor, QueryLimit
from kit.web.problems import language_of
from kit.web.ready import Ready
from payments.asking import WeChatPayUnknown
from payments.ports import Payee
from payments.wechatpay.gateway import Gateway
from shop.members.edge import MEMBER_ONLY
from shop.members.sessions import SignedIn
from shop.orders import closing, listing, parcels, paying
from shop.orders.closing import AlreadyPaid
from shop.orders.history import OrderNotFound
from shop.orders.listing import Tab
from shop.orders.models import OrderMoveRefused
from shop.orders.own_pages import LIMIT, OwnPages
from shop.orders.schemas import (
    CancelWish,
    OrderCounts,
    OrderDetail,
    OrderView,
)

Req = Request[Any, Any, Any]
_ONCE = (InvalidInput, SignInNeeded, KeyReused, StillRunning, OrderNotFound)


@get(
    "/orders",
    operation_id="listOrders",
    summary="My orders, newest first",
    tags=["orders"],
    security=MEMBER_ONLY,
    responses=declared(InvalidInput, SignInNeeded),
)
async def list_orders(
    request: Req,
    own_pages: NamedDependency[OwnPages],
    member: NamedDependency[SignedIn],
    status: FromQuery[Tab | None] = None,
    cursor: QueryCursor = None,
    limit: QueryLimit = LIMIT,
) -> Response[Page[OrderView]]:
    return Ready(await own_pages.listed(member.member_id, status, cursor, limit, language_of(request)))


@get(
    "/orders/counts",
    operation_id="countOrders",
    summary="How many wait for what",
    tags=["orders"],
    security=MEMBER_ONLY,
    responses=declared(SignInNeeded),
)
async def count_orders(db: NamedDependency[Database], member: NamedDependency[SignedIn]) -> OrderCounts:
    async with db.begin() as session:
        found = await listing.counts(session, member.member_id)
    tabs: tuple[Tab, ...] = ("unpaid", "to_ship", "to_receive")
    unpaid, to_ship, to_receive = (sum(found.get(state, 0) for state in listing.TABS[tab]) for tab in tabs)
    return OrderCounts(unpaid, to_ship, to_receive)


@get(
    "/orders/{no:str}",
    operation_id="getOrder",
    summary="One of my orders",
    tags=["orders"],
    security=MEMBER_ONLY,
    responses=declared(InvalidInput, SignInNeeded, OrderNotFound),
)
async def get_order(
    request: Req, no: PathNo, own_pages: NamedDependency[OwnPages], member: NamedDependency[SignedIn]
) -> Response[OrderDetail]:
    return Ready(await own_pages.one(member.member_id, no, language_of(request)))


@post(
    "/orders/{no:str}/cancel",
    operation_id="cancelOrder",
    summary="Cancel an unpaid order",
    tags=["orders"],
    security=MEMBER_ONLY,
    responses=declared(*BODY, *_ONCE, OrderMoveRefused, AlreadyPaid, WeChatPayUnknown),
    status_code=200,
)
async def cancel_order(
    request: Req,
    no: PathNo,
    data: JSONBody[CancelWish],
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    own_pages: NamedDependency[OwnPages],
    gateway: NamedDependency[Gateway],
    payee: NamedDependency[Payee],
    clock: NamedDependency[Clock],
    member: NamedDependency[SignedIn],
) -> OrderDetail:
    async def work(again: bool) -> OrderDetail:
        by, reason, member_id = member.label, data.reason or "buyer", member.member_id
        await closing.cancel(db, gateway, payee, clock, no, by=by, reason=reason, member_id=member_id, again=again)
        seen = await own_pages.one(member.member_id, no, language_of(request))
        return msgspec.json.decode(seen, type=OrderDetail)

    wish = idempotency.intent(member.label, f"cancelOrder:{no}", idempotency_key, data)
    return await idempotency.through(db, wish, clock.now(), work, OrderDetail)


@post(
    "/orders/{no:str}/confirm",
    operation_id="confirmOrder",
    summary="I have received it",
    tags=["orders"],
    security=MEMBER_ONLY,
    responses=declared(InvalidInput, SignInNeeded, OrderNotFound, OrderMoveRefused),
    status_code=200,
)
async def confirm_order(
    request: Req,
    no: PathNo,
    db: NamedDependency[Database],
    own_pages: NamedDependency[OwnPages],
    clock: NamedDependency[Clock],
    member: NamedDependency[SignedIn],
) -> Response[OrderDetail]:
    async with db.begin() as session:
        await parcels.confirm(session, no, member_id=member.member_id, by=member.label, at=clock.now())
    return Ready(await own_pages.one(member.member_id, no, language_of(request)))


@post(
    "/orders/{no:str}/payment/refresh",
    operation_id="refreshOrderPayment",
    summary="Ask WeChat now whether it was paid",
    tags=["orders"],
    security=MEMBER_ONLY,
    responses=declared(InvalidInput, SignInNeeded, OrderNotFound, WeChatPayUnknown),
    status_code=200,
)
async def refresh_payment(
    request: Req,
    no: PathNo,
    db: NamedDependency[Database],
    own_pages: NamedDependency[OwnPages],
    gateway: NamedDependency[Gateway],
    payee: NamedDependency[Payee],
    clock: NamedDependency[Clock],
    member: NamedDependency[SignedIn],
) -> Response[OrderDetail]:
    await paying.refresh(db, gateway, payee, clock, no, member_id=member.member_id)
    return Ready(await own_pages.one(member.member_id, no, language_of(request)))


ROUTES: list[Any] = [
    list_orders,
    count_orders,
    get_order,
    cancel_order,
    confirm_order,
    refresh_payment,
]
