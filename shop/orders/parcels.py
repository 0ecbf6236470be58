"""Goods on their way: shipping, receipt, and receipt by itself after some days."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.errors import Conflict
from shop.orders import history
from shop.orders.models import Order, OrderState, Parcel

RECEIVED_AFTER: Final = timedelta(days=10)
"""Shipped and not confirmed for so long: received."""


class NothingToShip(Conflict):
    """Every line of this order is being refunded."""

    zh = "订单商品均已退款，无需发货"


async def ship(session: AsyncSession, no: str, *, carrier: str, tracking_no: str, by: str, at: datetime) -> Order:
    """Hand a paid order to a carrier. Raises `OrderMoveRefused`, `NothingToShip` (409)."""
    order = await history.lock(session, no)
    lines = await history.lines_of(session, order)
    history.move(session, order, OrderState.SHIPPED, what="shipped", by=by, at=at, carrier=carrier)
    if all(line.refunded_quantity == line.quantity for line in lines):
        raise NothingToShip
    order.shipped_at = at
    order.receive_by = at + RECEIVED_AFTER
    session.add(Parcel(order_id=order.id, carrier=carrier, tracking_no=tracking_no, shipped_by=by, shipped_at=at))
    return order


async def confirm(session: AsyncSession, no: str, *, member_id: int, by: str, at: datetime) -> Order:
    """The buyer has it. Confirming twice is harmless. Raises `OrderNotFound` (404), `OrderMoveRefused` (409)."""
    order = await history.lock(session, no, member_id=member_id)
    if order.state != OrderState.COMPLETED:
        _complete(session, order, by=by, at=at)
    return order


async def receive_due(session: AsyncSession, now: datetime, limit: int = 100) -> int:
    """Complete shipped orders whose time is over; how many there were."""
    statement = (
        select(Order)
        .where(Order.state == OrderState.SHIPPED, Order.receive_by <= now)
        .order_by(Order.receive_by)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    orders = list(await session.scalars(statement))
    for order in orders:
        _complete(session, order, by="system", at=now)
    return len(orders)


def _complete(session: AsyncSession, order: Order, *, by: str, at: datetime) -> None:
    history.move(session, order, OrderState.COMPLETED, what="received", by=by, at=at)
    order.completed_at = at
