"""Reading orders: a member's, and what staff search for."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from payments.models import Refund
from shop.orders.history import OrderNotFound
from shop.orders.models import Order, OrderEvent, OrderLine, OrderState, Parcel

Tab = Literal["unpaid", "to_ship", "to_receive", "completed", "cancelled", "refunded"]
TABS: dict[Tab, tuple[OrderState, ...]] = {
    "unpaid": (OrderState.UNPAID, OrderState.CLOSING),
    "to_ship": (OrderState.PAID,),
    "to_receive": (OrderState.SHIPPED,),
    "completed": (OrderState.COMPLETED,),
    "cancelled": (OrderState.CANCELLED,),
    "refunded": (OrderState.REFUNDED,),
}
"""What a member's list may be filtered by."""


class Whole(msgspec.Struct):
    """An order with what belongs to it."""

    order: Order
    lines: list[OrderLine]
    parcels: list[Parcel]
    refunds: list[Refund]
    events: list[OrderEvent]


async def page(
    session: AsyncSession, where: Sequence[ColumnElement[bool]], *, before_id: int | None, limit: int
) -> list[tuple[Order, list[OrderLine]]]:
    """Newest first, at most `limit`; with their lines, in two statements."""
    statement = select(Order).where(*where).order_by(Order.id.desc()).limit(limit)
    if before_id is not None:
        statement = statement.where(Order.id < before_id)
    orders = list(await session.scalars(statement))
    lines: dict[int, list[OrderLine]] = {order.id: [] for order in orders}
    for line in await session.scalars(select(OrderLine).where(OrderLine.order_id.in_(lines)).order_by(OrderLine.id)):
        lines[line.order_id].append(line)
    return [(order, lines[order.id]) for order in orders]


async def get(session: AsyncSession, no: str, *, member_id: int | None = None) -> Whole:
    """One order. Raises `OrderNotFound` (404), also for somebody else's when `member_id` is given."""
    statement = select(Order).where(Order.no == no)
    if member_id is not None:
        statement = statement.where(Order.member_id == member_id)
    order = (await session.execute(statement)).scalar_one_or_none()
    if order is None:
        raise OrderNotFound
    return Whole(
        order,
        await _of(session, OrderLine, OrderLine.order_id == order.id),
        await _of(session, Parcel, Parcel.order_id == order.id),
        await _of(session, Refund, Refund.payable == order.no),
        await _of(session, OrderEvent, OrderEvent.order_id == order.id),
    )


async def _of(session: AsyncSession, table: Any, where: ColumnElement[bool]) -> list[Any]:
    return list(await session.scalars(select(table).where(where).order_by(table.id)))


async def counts(session: AsyncSession, member_id: int) -> dict[str, int]:
    """How many orders of a member are in each state."""
    statement = (
        select(Order.state, func.count().label("orders")).where(Order.member_id == member_id).group_by(Order.state)
    )
    return {row.state: row.orders for row in await session.execute(statement)}
