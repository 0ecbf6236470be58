"""Every move of an order is one row of its log, written in the same transaction."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.errors import NotFound
from shop.orders.models import Order, OrderEvent, OrderLine, OrderState


class OrderNotFound(NotFound):
    """There is no such order."""

    zh = "未找到该订单"


async def lock(session: AsyncSession, no: str, *, member_id: int | None = None) -> Order:
    """The order, locked (after its payment, before refunds and stock). `member_id` is its owner, for a member's call.

    Raises `OrderNotFound` (404), also for somebody else's.
    """
    statement = select(Order).where(Order.no == no).with_for_update(key_share=True)
    if member_id is not None:
        statement = statement.where(Order.member_id == member_id)
    order = (await session.execute(statement.execution_options(populate_existing=True))).scalar_one_or_none()
    if order is None:
        raise OrderNotFound
    return order


async def lines_of(session: AsyncSession, order: Order) -> list[OrderLine]:
    """Its lines, in the order of placing."""
    return list(await session.scalars(select(OrderLine).where(OrderLine.order_id == order.id).order_by(OrderLine.id)))


def move(
    session: AsyncSession, order: Order, to: OrderState, *, what: str, by: str, at: datetime, **facts: Any
) -> None:
    """Move a locked order and log it. Raises `OrderMoveRefused` (409)."""
    source = order.state
    order.move(to)
    session.add(OrderEvent(order_id=order.id, what=what, from_state=source, to_state=to, by=by, facts=facts, at=at))


def remark(session: AsyncSession, order: Order, *, what: str, by: str, at: datetime, **facts: Any) -> None:
    """Log something that did not move it."""
    state = order.state
    session.add(OrderEvent(order_id=order.id, what=what, from_state=state, to_state=state, by=by, facts=facts, at=at))
