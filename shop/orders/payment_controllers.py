"""What clients call to pay: the Mini Program's sheet, every other channel, several orders at once, QR codes."""

from io import BytesIO
from typing import Any

import segno
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody

from kit import idempotency
from kit.clock import Clock
from kit.database import Database
from kit.errors import InvalidInput, SignInNeeded
from kit.idempotency import KeyReused, StillRunning
from kit.web.declared import BODY, declared
from kit.web.idempotent import IdempotencyKey
from kit.web.parameters import PathNo
from kit.web.peer import Peers
from payments.asking import WeChatPayUnknown
from payments.charges import Channel, NotPayable, PaymentRefused
from payments.models import Payment
from payments.ports import Payee
from payments.wechatpay.gateway import AppParams, Gateway, PayParams
from shop.members.edge import MEMBER_ONLY
from shop.members.sessions import SignedIn
from shop.orders import paying, paying_together
from shop.orders.history import OrderNotFound
from shop.orders.models import OrderMoveRefused
from shop.orders.paying import AddressUnknown, NoCode, TimeToPayOver, TotalChanged, Wanted, Way
from shop.orders.paying_together import SameOrderTwice
from shop.orders.payment_schemas import BridgeParams, CombinedPayWish, PaySheet, PayWish

Req = Request[Any, Any, Any]
_ONCE = (InvalidInput, SignInNeeded, KeyReused, StillRunning, OrderNotFound)
_OPEN = (OrderMoveRefused, TimeToPayOver, NotPayable, WeChatPayUnknown, PaymentRefused)
_PRIVATE = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


@post(
    "/orders/{no:str}/prepay",
    operation_id="prepayOrder",
    summary="What wx.requestPayment needs",
    tags=["orders"],
    security=MEMBER_ONLY,
    responses=declared(*_ONCE, *_OPEN),
    status_code=200,
)
async def prepay_order(
    no: PathNo,
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    payee: NamedDependency[Payee],
    clock: NamedDependency[Clock],
    member: NamedDependency[SignedIn],
) -> PayParams:
    wish = idempotency.intent(member.label, f"prepayOrder:{no}", idempotency_key, None)
    return await paying.prepay(db, gateway, payee, clock, member, no, wish)


@post(
    "/orders/{no:str}/payments",
    operation_id="openOrderPayment",
    summary="Open a payment where the member is: in WeChat, in an app, in a browser, or before a code",
    tags=["orders"],
    security=MEMBER_ONLY,
    responses=declared(*BODY, *_ONCE, *_OPEN, TotalChanged, AddressUnknown),
    status_code=200,
)
async def open_order_payment(
    request: Req,
    no: PathNo,
    data: JSONBody[PayWish],
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    payee: NamedDependency[Payee],
    clock: NamedDependency[Clock],
    peers: NamedDependency[Peers],
    member: NamedDependency[SignedIn],
) -> PaySheet:
    way = Way(Channel(data.channel), peers.client(request.scope), data.h5_type, data.expected_fen)
    wish = idempotency.intent(member.label, f"openOrderPayment:{no}", idempotency_key, data)
    wanted = Wanted(member, no, way, wish, lambda payment, token: _sheet(gateway, [payment], token), PaySheet)
    return await paying.open_sheet(db, gateway, payee, clock, wanted)


@post(
    "/combined-payments",
    operation_id="openCombinedPayment",
    summary="Pay several orders by one tap",
    tags=["orders"],
    security=MEMBER_ONLY,
    responses=declared(*BODY, *_ONCE, *_OPEN, TotalChanged, SameOrderTwice),
    status_code=200,
)
async def open_combined_payment(
    data: JSONBody[CombinedPayWish],
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    payee: NamedDependency[Payee],
    clock: NamedDependency[Clock],
    member: NamedDependency[SignedIn],
) -> PaySheet:
    async def work(_again: bool) -> PaySheet:
        parts, token = await paying_together.open_sheet(
            db, gateway, payee, clock, member, data.order_nos, data.expected_fen
        )
        return _sheet(gateway, parts, token)

    wish = idempotency.intent(member.label, "openCombinedPayment", idempotency_key, data)
    return await idempotency.through(db, wish, clock.now(), work, PaySheet)


def _sheet(gateway: Gateway, parts: list[Payment], token: str) -> PaySheet:
    first = parts[0]
    sheet = PaySheet(
        channel=first.channel,
        amount_fen=sum(part.amount_fen for part in parts),
        pay_by=first.expires_at,
        order_nos=[part.payable for part in parts],
    )
    if first.channel == Channel.H5:
        sheet.h5_url = token
    elif first.channel == Channel.NATIVE:
        sheet.code_url = token
    else:
        params = gateway.client_params(first.channel, token, first.appid)
        if isinstance(params, AppParams):
            sheet.app = params
        else:
            sheet.jsapi = BridgeParams(
                first.appid, params.timeStamp, params.nonceStr, params.package, params.signType, params.paySign
            )
    return sheet


def _drawn(kind: str) -> dict[int, ResponseSpec]:
    return {200: ResponseSpec(bytes, description="The QR code", media_type=kind, generate_examples=False)}


async def _draw(
    db: Database, gateway: Gateway, clock: Clock, member: SignedIn, no: str, form: str, kind: str
) -> Response[bytes]:
    """The code of this member's order, and nobody else's, in no cache."""
    picture = BytesIO()
    segno.make(await paying.code_url(db, gateway, clock, member, no), error="m", micro=False).save(
        picture, kind=form, scale=8, border=4
    )
    return Response(picture.getvalue(), media_type=kind, headers=_PRIVATE)


@get(
    "/orders/{no:str}/pay-qr.svg",
    operation_id="drawPayCodeSvg",
    summary="The open Native payment's code, as SVG",
    tags=["orders"],
    security=MEMBER_ONLY,
    responses={**declared(InvalidInput, SignInNeeded, OrderNotFound, NoCode), **_drawn("image/svg+xml")},
)
async def draw_svg(
    no: PathNo,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    clock: NamedDependency[Clock],
    member: NamedDependency[SignedIn],
) -> Response[bytes]:
    return await _draw(db, gateway, clock, member, no, "svg", "image/svg+xml")


@get(
    "/orders/{no:str}/pay-qr.png",
    operation_id="drawPayCodePng",
    summary="The open Native payment's code, as PNG",
    tags=["orders"],
    security=MEMBER_ONLY,
    responses={**declared(InvalidInput, SignInNeeded, OrderNotFound, NoCode), **_drawn("image/png")},
)
async def draw_png(
    no: PathNo,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    clock: NamedDependency[Clock],
    member: NamedDependency[SignedIn],
) -> Response[bytes]:
    return await _draw(db, gateway, clock, member, no, "png", "image/png")


ROUTES: list[Any] = [prepay_order, open_order_payment, open_combined_payment, draw_svg, draw_png]
