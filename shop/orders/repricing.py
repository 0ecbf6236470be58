"""A new price for an unpaid order, by staff: nobody may pay the old one any more before the new one holds."""

from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from kit import audit, money
from kit.clock import Clock
from kit.database import Database
from kit.errors import Unprocessable, invalid
from payments import asking, underway
from payments.attempts import WeChatPayUnknown
from payments.models import Payment
from payments.ports import Payee
from payments.wechatpay.gateway import Gateway
from shop.orders import history
from shop.orders.closing import AlreadyPaid
from shop.orders.models import Order, OrderMoveRefused, OrderState

_TRIES: Final = 3


class PriceOutOfRange(Unprocessable):
    """The total must be from {least_fen} to {most_fen} fen; goods and freight are not raised above their prices."""

    zh = "改价后的总额须在 {least_fen} 至 {most_fen} 分之间"


class NewPrice(msgspec.Struct, frozen=True):
    """What staff want: the total or the discount, and perhaps another freight."""

    total_fen: int | None = None
    discount_fen: int | None = None
    freight_fen: int | None = None


async def reprice(
    db: Database, gateway: Gateway, payee: Payee, clock: Clock, no: str, price: NewPrice, *, by: str, reason: str
) -> None:
    """Give an unpaid order another price. The live attempt is closed at WeChat, and that confirmed, before.

    Done a second time it changes nothing. Raises `OrderNotFound` (404), `OrderMoveRefused`, `AlreadyPaid` (409, and the
    payment is settled), `PriceOutOfRange` (422), `WeChatPayUnknown` (503: the price is as it was).
    """
    if (price.total_fen is None) == (price.discount_fen is None) and not _freight_only(price):
        raise invalid("totalFen", "give either totalFen or discountFen, or freightFen alone")
    for _ in range(_TRIES):
        live = await _decide(db, clock, no, price, by=by, reason=reason)
        if not live:
            return
        for payment in live:
            await asking.close(db, gateway, payee, clock, payment.out_trade_no)
    if await _decide(db, clock, no, price, by=by, reason=reason):
        raise WeChatPayUnknown  # the buyer opens one attempt after the other: ask again


async def _decide(db: Database, clock: Clock, no: str, price: NewPrice, *, by: str, reason: str) -> list[Payment]:
    """The attempts that are live; without any the new price holds. Raises `AlreadyPaid` when money was there first."""
    async with db.begin() as session:
        order = await history.lock(session, no)
        _refuse_unless_unpaid(order)
        if not _changes(order, price):
            return []
        live = await underway.attempts(session, [no])
        if not live:  # and none can begin: the order is locked
            await _put(session, order, price, by=by, reason=reason, at=clock.now())
        return live


def _freight_only(price: NewPrice) -> bool:
    return price.freight_fen is not None and price.total_fen is None and price.discount_fen is None


def _refuse_unless_unpaid(order: Order) -> None:
    if order.paid_at is not None:
        raise AlreadyPaid
    if order.state != OrderState.UNPAID:
        raise OrderMoveRefused(state=order.state)


def _figures(order: Order, price: NewPrice) -> tuple[int, int]:
    """Discount and freight of the new price. Raises `PriceOutOfRange` (422)."""
    freight = order.freight_fen if price.freight_fen is None else price.freight_fen
    if price.total_fen is not None:
        discount = order.goods_fen + freight - price.total_fen
    else:
        discount = order.discount_fen if price.discount_fen is None else price.discount_fen
    quoted = _quoted_freight(order)
    total = order.goods_fen - discount + freight
    if freight > quoted or not 0 <= discount <= order.goods_fen or not 0 < total <= money.MAX_FEN:
        freight = min(freight, quoted)
        raise PriceOutOfRange(least_fen=max(freight, 1), most_fen=order.goods_fen + freight)
    return discount, freight


def _quoted_freight(order: Order) -> int:
    """What the buyer agreed to when the order was placed: nobody is asked for more afterwards."""
    return next((int(step["fen"]) for step in order.trace if step["step"] == "freight"), order.freight_fen)


def _changes(order: Order, price: NewPrice) -> bool:
    return _figures(order, price) != (order.discount_fen, order.freight_fen)


async def _put(session: AsyncSession, order: Order, price: NewPrice, *, by: str, reason: str, at: datetime) -> None:
    """The new figures, the lines' shares to the fen, and what happened: in the trace, the log and the audit."""
    old = order.total_fen
    order.discount_fen, order.freight_fen = _figures(order, price)
    order.total_fen = order.goods_fen - order.discount_fen + order.freight_fen
    figures = {"discountFen": order.discount_fen, "freightFen": order.freight_fen, "totalFen": order.total_fen}
    # What a person writes stands in the order only, where it can be erased.
    order.trace = [*order.trace, {"step": "reprice", **figures, "reason": reason}]
    lines = await history.lines_of(session, order)
    shares = money.share(order.goods_fen - order.discount_fen, [line.unit_fen * line.quantity for line in lines])
    for line, paid_fen in zip(lines, shares, strict=True):
        line.paid_fen = paid_fen
    facts = {"from_fen": old, "to_fen": order.total_fen}
    history.remark(session, order, what="repriced", by=by, at=at, **facts)
    await audit.record(session, at=at, actor=by, action="order.reprice", subject=("order", order.no), facts=facts)
    await session.flush()
