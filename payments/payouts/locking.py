"""The payment is the first of all locks: whatever shares, returns or declares it holds it."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.errors import NotFound
from payments.models import Payment


class PaymentNotFound(NotFound):
    """There is no such payment."""

    zh = "未找到该支付"


async def by_id(session: AsyncSession, payment_id: int) -> Payment:
    """Locked, and as it is now."""
    statement = select(Payment).where(Payment.id == payment_id).with_for_update(key_share=True)
    return (await session.execute(statement.execution_options(populate_existing=True))).scalar_one()


async def by_number(session: AsyncSession, out_trade_no: str) -> Payment:
    """Locked, and as it is now. Raises `PaymentNotFound` (404)."""
    payment_id = await session.scalar(select(Payment.id).where(Payment.out_trade_no == out_trade_no))
    if payment_id is None:
        raise PaymentNotFound
    return await by_id(session, payment_id)
