"""What staff call: search, look, ship, close."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter
from msgspec import Meta

from kit import audit, idempotency
from kit.clock import Clock
from kit.database import Database, raw
from kit.errors import invalid
from kit.fields import Id, as_id
from kit.idempotency import KeyReused, StillRunning
from kit.paging import Page, decode_cursor, page
from kit.web.actor import Actor, actor_of, requires
from kit.web.declared import BODY, STAFF, declared
from kit.web.idempotent import IdempotencyKey
from kit.web.parameters import PathNo, QueryCursor, QueryLimit, QueryNo, bounded
from kit.web.problems import language_of
from payments.asking import WeChatPayUnknown
from payments.ports import Payee
from payments.wechatpay.gateway import Gateway
from shop.orders import admin_reading, closing, parcels, views
from shop.orders.closing import AlreadyPaid
from shop.orders.history import OrderNotFound
from shop.orders.models import OrderMoveRefused, OrderState
from shop.orders.parcels import NothingToShip
from shop.orders.schemas import AdminOrderView, CloseWish, OrderView, ShipWish

Req = Request[Any, Any, Any]
Phone = Annotated[str, Meta(pattern=r"^[0-9+-]{5,20}$(?!\n)")]


@get(
    "/orders",
    operation_id="searchOrders",
    summary="Orders, newest first; every filter narrows",
    guards=[requires("orders.read")],
    responses=declared(*STAFF),
)
async def search_orders(
    request: Req,
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
    no: QueryNo = None,
    status: FromQuery[OrderState | None] = None,
    member_id: Annotated[str | None, bounded(QueryParameter, Id, "memberId")] = None,
    phone: Annotated[str | None, bounded(QueryParameter, Phone)] = None,
    placed_from: Annotated[datetime | None, QueryParameter(name="placedFrom")] = None,
    placed_before: Annotated[datetime | None, QueryParameter(name="placedBefore")] = None,
    cursor: QueryCursor = None,
    limit: QueryLimit = 20,
) -> Page[OrderView]:
    for bound, name in ((placed_from, "placedFrom"), (placed_before, "placedBefore")):
        if bound is not None and bound.tzinfo is None:
            raise invalid(name, "must say its offset from UTC")
    before = decode_cursor(cursor, (int,))[0] if cursor else None
    async with db.begin() as session:  # some searches are slow: they take none of the connections that buyers wait for
        rows = await admin_reading.search(
            await raw(session),
            limit=limit + 1,
            now=clock.now(),
            language=language_of(request),
            no=no,
            state=status,
            member_id=as_id(member_id) if member_id else None,
            phone=phone,
            placed_from=placed_from,
            placed_before=placed_before,
            before_id=before,
        )
    found = page(rows, limit, lambda row: (row[0],))
    items: list[Any] = [msgspec.Raw(shown) for _, shown in found.items]  # they are JSON already
    return Page(items, found.next_cursor)


@get(
    "/orders/{no:str}",
    operation_id="getOrderForStaff",
    summary="One order, with its log, payments' refunds and parcels",
    guards=[requires("orders.read")],
    responses=declared(*STAFF, OrderNotFound),
)
async def get_order(
    request: Req, no: PathNo, db: NamedDependency[Database], clock: NamedDependency[Clock]
) -> AdminOrderView:
    return await _view(request, db, clock, no)


@post(
    "/orders/{no:str}/ship",
    operation_id="shipOrder",
    summary="Hand a paid order to a carrier",
    guards=[requires("orders.ship")],
    status_code=200,
    responses=declared(*STAFF, *BODY, OrderNotFound, OrderMoveRefused, NothingToShip, KeyReused, StillRunning),
)
async def ship_order(
    request: Req,
    no: PathNo,
    data: JSONBody[ShipWish],
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> AdminOrderView:
    actor, now = actor_of(request), clock.now()
    wish = idempotency.intent(actor.label, f"shipOrder:{no}", idempotency_key, data)
    async with db.begin() as session:

        async def work() -> AdminOrderView:
            await parcels.ship(session, no, carrier=data.carrier, tracking_no=data.tracking_no, by=actor.label, at=now)
            await _record(session, actor, "order.ship", no, now, carrier=data.carrier)
            await session.flush()
            return views.for_staff(await admin_reading.one(await raw(session), no), now, language_of(request))

        return await idempotency.once(session, wish, now, work, AdminOrderView)


@post(
    "/orders/{no:str}/close",
    operation_id="closeOrder",
    summary="Close an unpaid order",
    guards=[requires("orders.close")],
    status_code=200,
    responses=declared(
        *STAFF, *BODY, OrderNotFound, OrderMoveRefused, AlreadyPaid, KeyReused, StillRunning, WeChatPayUnknown
    ),
)
async def close_order(
    request: Req,
    no: PathNo,
    data: JSONBody[CloseWish],
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    payee: NamedDependency[Payee],
    clock: NamedDependency[Clock],
) -> AdminOrderView:
    actor, now = actor_of(request), clock.now()

    async def work(again: bool) -> AdminOrderView:
        await closing.cancel(db, gateway, payee, clock, no, by=actor.label, reason=data.reason, again=again)
        async with db.begin() as session:
            await _record(session, actor, "order.close", no, now, reason=closing.code_of(data.reason))
        return await _view(request, db, clock, no)

    wish = idempotency.intent(actor.label, f"closeOrder:{no}", idempotency_key, data)
    return await idempotency.through(db, wish, now, work, AdminOrderView)


async def _record(session: Any, actor: Actor, action: str, no: str, at: datetime, **facts: Any) -> None:
    await audit.record(
        session,
        at=at,
        actor=actor.label,
        action=action,
        subject=("order", no),
        facts=facts,
    )


async def _view(request: Req, db: Database, clock: Clock, no: str) -> AdminOrderView:
    async with db.bare() as connection:
        filed = await admin_reading.one(connection, no)
    return views.for_staff(filed, clock.now(), language_of(request))


ROUTES: list[Any] = [search_orders, get_order, ship_order, close_order]
