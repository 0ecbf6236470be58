"""What staff do about an order's payment: another price, and a charge at the counter."""

from typing import Any

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from kit import idempotency
from kit.clock import Clock
from kit.database import Database
from kit.idempotency import KeyReused, StillRunning
from kit.web.actor import actor_of, requires
from kit.web.declared import BODY, STAFF, declared
from kit.web.idempotent import IdempotencyKey
from kit.web.parameters import PathNo
from kit.web.problems import language_of
from payments.asking import WeChatPayUnknown
from payments.charges import NotPayable
from payments.ports import Payee
from payments.wechatpay.gateway import Gateway
from shop.orders import admin_reading, repricing, till, views
from shop.orders.closing import AlreadyPaid
from shop.orders.history import OrderNotFound
from shop.orders.models import OrderMoveRefused
from shop.orders.paying import TimeToPayOver
from shop.orders.payment_schemas import CodeChargeView, CodeWish, RepriceWish
from shop.orders.repricing import NewPrice, PriceOutOfRange
from shop.orders.schemas import AdminOrderView
from shop.orders.till import Charge, ChargeUnderWay, NoCharge

Req = Request[Any, Any, Any]
_ONCE = (*STAFF, *BODY, OrderNotFound, KeyReused, StillRunning)


@post(
    "/orders/{no:str}/reprice",
    operation_id="repriceOrder",
    summary="Another price for an unpaid order; whoever is about to pay the old one is stopped first",
    guards=[requires("orders.reprice")],
    status_code=200,
    responses=declared(*_ONCE, OrderMoveRefused, AlreadyPaid, PriceOutOfRange, WeChatPayUnknown),
)
async def reprice_order(
    request: Req,
    no: PathNo,
    data: JSONBody[RepriceWish],
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    payee: NamedDependency[Payee],
    clock: NamedDependency[Clock],
) -> AdminOrderView:
    actor = actor_of(request)
    price = NewPrice(data.total_fen, data.discount_fen, data.freight_fen)

    async def work(_again: bool) -> AdminOrderView:
        await repricing.reprice(db, gateway, payee, clock, no, price, by=actor.label, reason=data.reason)
        async with db.bare() as connection:
            filed = await admin_reading.one(connection, no)
        return views.for_staff(filed, clock.now(), language_of(request))

    wish = idempotency.intent(actor.label, f"repriceOrder:{no}", idempotency_key, data)
    return await idempotency.through(db, wish, clock.now(), work, AdminOrderView)


@post(
    "/orders/{no:str}/charge-code",
    operation_id="chargeOrderByCode",
    summary="Charge an unpaid order with the payment code that the payer shows",
    guards=[requires("orders.charge")],
    status_code=200,
    responses=declared(*_ONCE, OrderMoveRefused, TimeToPayOver, ChargeUnderWay, NotPayable, WeChatPayUnknown),
)
async def charge_by_code(
    request: Req,
    no: PathNo,
    data: JSONBody[CodeWish],
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    payee: NamedDependency[Payee],
    clock: NamedDependency[Clock],
) -> CodeChargeView:
    actor = actor_of(request)

    async def work(again: bool) -> CodeChargeView:
        return _view(await till.charge(db, gateway, payee, clock, no, data.auth_code, by=actor.label, again=again))

    # Without the body: its code is the payer's secret, and not even its hash is kept.
    wish = idempotency.intent(actor.label, f"chargeOrderByCode:{no}", idempotency_key, None)
    return await idempotency.through(db, wish, clock.now(), work, CodeChargeView)


@get(
    "/orders/{no:str}/charge-code",
    operation_id="getCodeCharge",
    summary="How far the last charge at the counter is",
    guards=[requires("orders.charge")],
    responses=declared(*STAFF, OrderNotFound, NoCharge),
)
async def get_code_charge(no: PathNo, db: NamedDependency[Database]) -> CodeChargeView:
    return _view(await till.look(db, no))


@post(
    "/orders/{no:str}/charge-code/cancel",
    operation_id="cancelCodeCharge",
    summary="Wait no longer for the payer; what is not paid by then is reversed",
    guards=[requires("orders.charge")],
    status_code=200,
    responses=declared(*STAFF, OrderNotFound, NoCharge),
)
async def cancel_code_charge(
    request: Req, no: PathNo, db: NamedDependency[Database], clock: NamedDependency[Clock]
) -> CodeChargeView:
    return _view(await till.give_up(db, clock, no, by=actor_of(request).label))


def _view(charge: Charge) -> CodeChargeView:
    return CodeChargeView(
        order_no=charge.order.no,
        order_state=charge.order.state,
        state=charge.state,
        reason=charge.payment.last_error,
        amount_fen=charge.payment.amount_fen,
        started_at=charge.payment.created_at,
        waits_until=charge.payment.expires_at,
    )


ROUTES: list[Any] = [reprice_order, charge_by_code, get_code_charge, cancel_code_charge]
