"""The end of an order that is not paid: WeChat is told and asked first, then the goods go back on sale.

Each function here takes `db`: it talks to WeChat between its own short transactions, the intent (`closing`) committed
first. When WeChat stays silent the order stays `closing` and the sweep goes on.
"""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from catalog import stock
from kit.clock import Clock
from kit.database import Database
from kit.errors import Conflict
from payments import asking, underway
from payments.ports import Payee
from payments.wechatpay.gateway import Gateway
from shop.orders import checkout, history
from shop.orders.models import AWAITING, Order, OrderMoveRefused, OrderState

log = structlog.get_logger()

_AGAIN = timedelta(seconds=20)
_CODES = frozenset({"timeout", "buyer"})


class AlreadyPaid(Conflict):
    """WeChat says that this order was paid; it cannot be cancelled or repriced, ask for a refund."""

    zh = "订单已支付，无法取消或改价，如需退款请申请售后"


async def cancel(
    db: Database,
    gateway: Gateway,
    payee: Payee,
    clock: Clock,
    no: str,
    *,
    by: str,
    reason: str,
    member_id: int | None = None,
    again: bool = False,
) -> None:
    """Cancel an unpaid order for a member (`member_id`) or for staff. `again`: this very wish may have been done before.

    Raises `OrderNotFound` (404), `OrderMoveRefused` (409), `AlreadyPaid` (409, and the payment is settled),
    `WeChatPayUnknown` (503: it will be closed as soon as WeChat answers).
    """
    async with db.begin() as session:
        order = await history.lock(session, no, member_id=member_id)
        if again and order.state == OrderState.CANCELLED:
            return
        live = await _intend(session, order, by=by, reason=reason, at=clock.now())
    if live is not None:
        await asking.close(db, gateway, payee, clock, live)
    await _finish(db, no, clock)


async def _intend(session: AsyncSession, order: Order, *, by: str, reason: str, at: datetime) -> str | None:
    """Move the order to `closing`, or to `cancelled` when nobody can have paid. The attempt that is to be closed."""
    if order.state not in AWAITING:
        raise OrderMoveRefused(state=order.state)
    live = next((attempt.out_trade_no for attempt in await underway.attempts(session, [order.no])), None)
    if order.state == OrderState.UNPAID:
        order.close_reason = reason
        if live is None:
            await _cancel(session, order, by=by, at=at)
            return None
        history.move(session, order, OrderState.CLOSING, what="closing", by=by, at=at, reason=code_of(reason))
    order.close_at = at + _AGAIN
    return live


def code_of(reason: str | None) -> str:
    """For the log, which is for good: what a person wrote stands in the order only, where it can be erased."""
    return reason if reason in _CODES else "written"


async def _cancel(session: AsyncSession, order: Order, *, by: str, at: datetime) -> None:
    reason = code_of(order.close_reason or "timeout")
    history.move(session, order, OrderState.CANCELLED, what="cancelled", by=by, at=at, reason=reason)
    order.cancelled_at = at
    await session.flush()
    lines = await history.lines_of(session, order)
    await stock.release(session, checkout.wants_of(lines), ref=order.no, actor=by, at=at)


async def _finish(db: Database, no: str, clock: Clock) -> None:
    """Nobody can pay it any more: give the goods back, unless another hand came first, or money that has paid it.

    An attempt that was paid with a wrong amount has not. Raises `AlreadyPaid`.
    """
    async with db.begin() as session:
        order = await history.lock(session, no)
        if order.state == OrderState.CLOSING:
            await _cancel(session, order, by="system", at=clock.now())
        elif order.state != OrderState.CANCELLED:
            raise AlreadyPaid


async def due(session: AsyncSession, now: datetime, limit: int = 50) -> list[str]:
    """Orders whose time to pay is over, or whose closing is not finished; each put off to its next turn."""
    statement = (
        select(Order)
        .where(Order.state.in_(AWAITING), Order.close_at <= now)
        .order_by(Order.close_at)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    orders = list(await session.scalars(statement))
    for order in orders:
        order.close_at = now + _AGAIN
    return [order.no for order in orders]


async def time_out(db: Database, gateway: Gateway, payee: Payee, clock: Clock, no: str) -> None:
    """Close one order that `due` found. An order that was paid in the meantime stays paid."""
    try:
        await cancel(db, gateway, payee, clock, no, by="system", reason="timeout")
    except (AlreadyPaid, OrderMoveRefused) as outcome:
        log.info("not closed", order=no, outcome=outcome.code())
    except asking.WeChatPayUnknown:
        log.warning("closing waits for WeChat Pay", order=no)
