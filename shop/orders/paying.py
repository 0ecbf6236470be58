"""Paying for an order: the attempt is opened and looked at here; what the money does is told to `payee`."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

import msgspec
from sqlalchemy import Text
from sqlalchemy.ext.asyncio import AsyncSession

from kit import idempotency
from kit.clock import Clock
from kit.database import Database, Instant
from kit.errors import Conflict, Unprocessable
from kit.idempotency import Answer, Intent
from kit.statement import Statement
from payments import asking, charges, underway
from payments.charges import Begun, Bill, Channel, Sheet
from payments.models import Payment, PaymentState
from payments.ports import Payee
from payments.wechatpay.gateway import Gateway, PayParams
from shop.members.sessions import SignedIn
from shop.orders import history
from shop.orders.models import Order, OrderMoveRefused, OrderState

T = TypeVar("T")
TRIES: Final = 3
"""Attempts in one call: a number that is used up is closed and another one opened."""
_SHORTEST: Final = timedelta(seconds=3)
"""With less time left nobody can pay. WeChat itself would give a minute; at `pay_by` the order is closed all the same."""
_OWN_APP = frozenset({Channel.JSAPI, Channel.APP})
"""Opened inside the app by which the member came."""


class TimeToPayOver(Conflict):
    """The time to pay for this order is over."""

    zh = "订单已超过支付时限"


class TotalChanged(Conflict):
    """It costs {total_fen} fen now, not {expected_fen}; look at it again and confirm."""

    zh = "订单金额已变动，请确认后再支付"


class AddressUnknown(Unprocessable):
    """The shop cannot see your network address, which a payment in a browser needs; pay by scanning a code."""

    zh = "无法获取您的网络地址，请改用扫码支付"


class NoCode(Conflict):
    """There is no code to be scanned for this order; open a payment on the channel `native` first."""

    zh = "该订单没有可扫的支付码，请先以 native 方式发起支付"


class Way(msgspec.Struct, frozen=True):
    """How the member wants to pay."""

    channel: Channel = Channel.JSAPI
    client_ip: str | None = None
    h5_type: str | None = None
    expected_fen: int | None = None
    """The amount that the member saw, if the client says it."""


class Wanted(msgspec.Struct, Generic[T], frozen=True):
    """What a member asks for once, under a key: to pay for their order in this way, and to be `told` how of an open attempt."""

    member: SignedIn
    no: str
    way: Way
    wish: Intent
    told: Callable[[Payment, str], T]
    kind: type[T]


async def prepay(
    db: Database, gateway: Gateway, payee: Payee, clock: Clock, member: SignedIn, no: str, wish: Intent
) -> PayParams:
    """What the Mini Program needs to show the payment sheet (WeChat Pay v3, JSAPI). Raises as `open_sheet`."""

    def told(payment: Payment, token: str) -> PayParams:
        params = gateway.client_params(payment.channel, token, payment.appid)
        assert isinstance(params, PayParams)
        return params

    return await open_sheet(db, gateway, payee, clock, Wanted(member, no, Way(), wish, told, PayParams))


async def open_sheet(db: Database, gateway: Gateway, payee: Payee, clock: Clock, wanted: Wanted[T]) -> T:
    """What the client is told of an attempt that is open at WeChat, on this channel and for this member.

    Three waits, as most are: the key claimed and an attempt begun, WeChat, the token and the answer kept. An attempt that
    does not fit any more is closed first, and the close confirmed. Raises `OrderNotFound` (404), `StillRunning`,
    `OrderMoveRefused`, `TimeToPayOver`, `TotalChanged`, `NotPayable` (409), `KeyReused`, `AddressUnknown` (422),
    `WeChatPayUnknown`, `PaymentRefused` (503).
    """
    if wanted.way.channel == Channel.H5 and wanted.way.client_ip is None:
        raise AddressUnknown
    now = clock.now()
    begun = await _begun(db, gateway, wanted, now)

    async def work(_again: bool) -> Answer[T]:
        return await _open(db, gateway, payee, clock, wanted, begun.payment)

    return await idempotency.through(db, wanted.wish, now, work, wanted.kind, claimed=begun.claimed)


async def _open(
    db: Database, gateway: Gateway, payee: Payee, clock: Clock, wanted: Wanted[T], begun: Payment | None
) -> Answer[T]:
    def told(payment: Payment, token: str) -> Answer[T]:
        return Answer(wanted.wish, wanted.told(payment, token))

    for _ in range(TRIES):
        payment = begun or await _fitting(db, gateway, payee, clock, wanted)
        begun = None
        if payment is not None:
            answer = await charges.open_token(db, gateway, payee, clock, payment, told)
            if answer is not None:
                return answer
    raise charges.PaymentRefused


async def _fitting(db: Database, gateway: Gateway, payee: Payee, clock: Clock, wanted: Wanted[T]) -> Payment | None:
    """The live attempt, or a new one. `None`: the live one did not fit what is wanted now, and is closed."""
    now = clock.now()
    async with db.begin() as session:
        order = await payable(session, wanted.no, wanted.member, now)
        check_total(order.total_fen, wanted.way.expected_fen)
        bill = bill_of(order, wanted.member, wanted.way)
        payment = await charges.begin(session, gateway, bill, now)
    if charges.fits(payment, bill, gateway, now):
        return payment
    if await asking.close(db, gateway, payee, clock, payment.out_trade_no) == PaymentState.RECEIVED:
        raise charges.NotPayable
    return None


_DUE = Statement(
    f"""
    {charges.BEGIN_CLAIM}, due AS (
        SELECT no AS payable, total_fen AS amount_fen, pay_by AS expires_at FROM orders
        WHERE no = :no AND member_id = :member_id AND state = '{OrderState.UNPAID}' AND pay_by >= :payable_until
            AND total_fen = coalesce(:expected_fen, total_fen) AND EXISTS (SELECT FROM claimed)
        FOR NO KEY UPDATE
    )
    {charges.BEGIN_DUE}
    """,  # noqa: S608  (our own constants)
    no=Text,
    payable_until=Instant,
    **charges.BEGIN_TYPES,
)


async def _begun(db: Database, gateway: Gateway, wanted: Wanted[T], now: datetime) -> Begun:
    """The key claimed and a new attempt, by one statement. Without one it is not so plain: look, and say what is in the
    way."""
    async with db.bare() as connection:
        return await charges.begin_due(
            connection,
            _DUE,
            gateway,
            _sheet(wanted.no, wanted.member, wanted.way),
            wanted.wish,
            now,
            no=wanted.no,
            member_id=wanted.member.member_id,
            payable_until=now + _SHORTEST,
            expected_fen=wanted.way.expected_fen,
        )


async def payable(session: AsyncSession, no: str, member: SignedIn | None, now: datetime) -> Order:
    """The order, locked, if it may be paid now. Raises `OrderNotFound` (404), `OrderMoveRefused`, `TimeToPayOver` (409)."""
    order = await history.lock(session, no, member_id=None if member is None else member.member_id)
    if order.state != OrderState.UNPAID:
        raise OrderMoveRefused(state=order.state)
    if order.pay_by - now < _SHORTEST:
        raise TimeToPayOver
    return order


def check_total(total_fen: int, expected_fen: int | None) -> None:
    """Nobody pays an amount that they did not see. Raises `TotalChanged` (409)."""
    if expected_fen not in (None, total_fen):
        raise TotalChanged(total_fen=total_fen, expected_fen=expected_fen)


def bill_of(order: Order, member: SignedIn, way: Way) -> Bill:
    """What WeChat is asked to collect."""
    sheet = msgspec.structs.asdict(_sheet(order.no, member, way))
    return Bill(payable=order.no, amount_fen=order.total_fen, expires_at=order.pay_by, **sheet)


def _sheet(no: str, member: SignedIn, way: Way) -> Sheet:
    """A member's own app is one of ours: they signed in by it."""
    return Sheet(
        description=f"订单 {no}",
        channel=way.channel,
        appid=member.appid if way.channel in _OWN_APP else None,
        openid=member.openid if way.channel == Channel.JSAPI else None,
        client_ip=way.client_ip if way.channel == Channel.H5 else None,
        h5_type=way.h5_type if way.channel == Channel.H5 else None,
    )


async def code_url(db: Database, gateway: Gateway, clock: Clock, member: SignedIn, no: str) -> str:
    """What the QR code of this order's open Native attempt says. Raises `OrderNotFound` (404), `NoCode` (409)."""
    now = clock.now()
    async with db.begin() as session:
        order = await history.lock(session, no, member_id=member.member_id)
        live = await underway.attempts(session, [order.no])
    bill = bill_of(order, member, Way(Channel.NATIVE))
    for payment in live:
        if payment.token is not None and order.pay_by > now and charges.fits(payment, bill, gateway, now):
            return payment.token
    raise NoCode


async def refresh(db: Database, gateway: Gateway, payee: Payee, clock: Clock, no: str, *, member_id: int) -> None:
    """Ask WeChat now whether the order was paid, as a client does after `wx.requestPayment` said ok.

    Raises `OrderNotFound` (404), `WeChatPayUnknown` (503).
    """
    async with db.begin() as session:
        order = await history.lock(session, no, member_id=member_id)
        live = await underway.attempts(session, [order.no])
    for payment in live:
        await asking.ask(db, gateway, payee, clock, payment.out_trade_no)
