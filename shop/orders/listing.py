"""Which orders a member's tabs show, how many of each there are, and one by its number."""

from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shop.orders.history import OrderNotFound
from shop.orders.models import Order, OrderState

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


async def get(session: AsyncSession, no: str, *, member_id: int | None = None) -> Order:
    """One order. Raises `OrderNotFound` (404), also for somebody else's when `member_id` is given."""
    statement = select(Order).where(Order.no == no)
    if member_id is not None:
        statement = statement.where(Order.member_id == member_id)
    order = (await session.execute(statement)).scalar_one_or_none()
    if order is None:
        raise OrderNotFound
    return order


async def counts(session: AsyncSession, member_id: int) -> dict[str, int]:
    """How many orders of a member are in each state."""
    statement = (
        select(Order.state, func.count().label("orders")).where(Order.member_id == member_id).group_by(Order.state)
    )
    return {row.state: row.orders for row in await session.execute(statement)}
