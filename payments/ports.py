"""How payments tells those who are paid, without knowing them.

`shop.orders` and `shop.aftersales` implement `Payee`; `shop.app` joins them. Its methods run inside the transaction
that settles the money: what they write and what we write is there together or not at all.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession


class Receipt(msgspec.Struct, frozen=True):
    """Money received for a payable, exactly the amount that was asked."""

    payable: str
    out_trade_no: str
    transaction_id: str
    amount_fen: int
    paid_at: datetime
    """WeChat's `success_time`."""


class Declined(msgspec.Struct, frozen=True):
    """The money is not wanted (any more) and must go back."""

    kind: str
    """`paid_after_close`, `second_payment`, `unknown_payable` or `amount_mismatch`: the kind of the exception."""


class RefundFound(msgspec.Struct, frozen=True):
    """Money of a payable went back without our asking: by hand, in WeChat's merchant portal."""

    payable: str
    out_refund_no: str
    amount_fen: int


class RefundNews(msgspec.Struct, frozen=True):
    """A refund ended: `succeeded`, or not (`closed`, `refused`, `rejected`)."""

    payable: str
    cause: str
    out_refund_no: str
    amount_fen: int
    succeeded: bool
    at: datetime
    outcome: str = ""
    """The refund's last state."""
    by: str = "wechat"


@runtime_checkable  # Litestar checks what it injects
class Payee(Protocol):
    """Locks its own rows: the payment is locked already, so the order comes next."""

    async def paid(self, session: AsyncSession, receipt: Receipt, at: datetime) -> Declined | None:
        """Take the money (`None`), or decline it."""
        ...

    async def paid_together(self, connection: Any, receipts: Sequence[Receipt], at: datetime) -> set[str]:
        """Take all of those whose payable plainly awaits exactly this money, and say which payables; the others are left
        as they are, and are asked for one by one. On a bare connection, in its open transaction."""
        ...

    async def revived(self, session: AsyncSession, receipt: Receipt, at: datetime) -> Declined | None:
        """Take the money for what was closed before it came (`None`), if all of it can still be given; or decline it."""
        ...

    async def refund_found(self, session: AsyncSession, found: RefundFound, at: datetime) -> str | None:
        """Find out what a refund was for that nobody asked us for. The cause to keep it under, or `None`."""
        ...

    async def refunded(self, session: AsyncSession, news: RefundNews) -> None:
        """A refund for `news.cause` ended."""
        ...
