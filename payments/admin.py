"""What staff see of money: attempts to be paid."""

import time
from datetime import datetime
from typing import Any, Final

import msgspec
from litestar import get
from litestar.di import NamedDependency
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.database import Database
from kit.paging import Page, decode_cursor, page
from kit.web.actor import requires
from kit.web.declared import STAFF, declared
from kit.web.parameters import QueryCursor, QueryLimit, QueryNo
from payments.models import Payment

_LATELY_S: Final = 1.0


class PaymentRow(msgspec.Struct, rename="camel"):
    out_trade_no: str
    payable: str
    channel: str
    state: str
    amount_fen: int
    received_fen: int | None
    refunded_fen: int
    applied: bool
    transaction_id: str | None
    received_at: datetime | None
    created_at: datetime


def _payment(row: Payment) -> PaymentRow:
    return msgspec.convert(row, PaymentRow, from_attributes=True)


@get(
    "/payments",
    operation_id="listPayments",
    summary="Attempts to be paid, newest first",
    guards=[requires("payments.read")],
    responses=declared(*STAFF),
)
async def list_payments(
    db: NamedDependency[Database],
    payable: QueryNo = None,
    cursor: QueryCursor = None,
    limit: QueryLimit = 20,
) -> Page[PaymentRow]:
    statement = select(Payment).order_by(Payment.id.desc()).limit(limit + 1)
    if payable:
        statement = statement.where(Payment.payable == payable)
    if cursor:
        statement = statement.where(Payment.id < decode_cursor(cursor, (int,))[0])

    async def rows(session: AsyncSession) -> list[Payment]:
        return list(await session.scalars(statement))

    # A report, not what somebody acts on at once: it may be a moment old, and come from a standby.
    found = page(await db.looking(rows, as_of=time.monotonic() - _LATELY_S), limit, lambda row: (row.id,))
    return Page([_payment(row) for row in found.items], found.next_cursor)


ROUTES: list[Any] = [list_payments]
