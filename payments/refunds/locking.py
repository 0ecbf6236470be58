"""Locks in their order: the payment first of all, then (by the payee) the order, then the refund.

Whoever changes a refund's state holds its payment, so the refund's own row is read under that lock.
"""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from payments.models import Payment, Refund


async def lock_payment(session: AsyncSession, payment_id: int) -> Payment:
    """The payment, locked: first of all locks."""
    statement = select(Payment).where(Payment.id == payment_id).with_for_update(key_share=True)
    return (await session.execute(statement.execution_options(populate_existing=True))).scalar_one()


async def find_applied(session: AsyncSession, payable: str) -> Payment | None:
    """The payment that paid `payable`, locked."""
    statement = select(Payment).where(Payment.payable == payable, Payment.applied).with_for_update(key_share=True)
    return (await session.execute(statement)).scalar_one_or_none()


async def lock(session: AsyncSession, out_refund_no: str) -> tuple[Payment, Refund] | None:
    """The refund under its payment's lock."""
    payment_id = await session.scalar(select(Refund.payment_id).where(Refund.out_refund_no == out_refund_no))
    if payment_id is None:
        return None
    payment = await lock_payment(session, payment_id)
    statement = select(Refund).where(Refund.out_refund_no == out_refund_no)
    refund = (await session.execute(statement.execution_options(populate_existing=True))).scalar_one()
    return payment, refund
