"""What the shop wants done with money that does not fit, and above which amounts a second person decides.

One row, read in the transaction of the rare case that needs it; without a row, what is safest: the money goes back by
itself. Every change is in the audit.
"""

from datetime import datetime
from enum import StrEnum

import msgspec
from sqlalchemy import CheckConstraint, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Table


class LatePayment(StrEnum):
    """An order was closed, and then its money arrived."""

    REFUND = "refund"
    REVIVE = "revive"
    """The order is taken up again if all of its goods are still there; else the money goes back."""


class WrongAmount(StrEnum):
    """More, less or another currency than was asked."""

    REFUND = "refund"
    DECIDE = "decide"
    """It is kept apart until a person sends it back or applies it."""


class PaymentPolicy(Table):
    __tablename__ = "payment_policy"
    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("late_payment IN ('refund', 'revive')", name="late_payment"),
        CheckConstraint("wrong_amount IN ('refund', 'decide')", name="wrong_amount"),
        CheckConstraint("refund_approval_above_fen >= 0", name="refund_approval"),
        CheckConstraint("payout_approval_above_fen >= 0", name="payout_approval"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    late_payment: Mapped[str]
    wrong_amount: Mapped[str]
    refund_approval_above_fen: Mapped[int | None]
    payout_approval_above_fen: Mapped[int | None]
    updated_at: Mapped[datetime]
    updated_by: Mapped[str]


class Policy(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """The shop's decisions about money, in force for whatever arrives from now on."""

    late_payment: LatePayment = LatePayment.REFUND
    wrong_amount: WrongAmount = WrongAmount.REFUND
    refund_approval_above_fen: int | None = None
    """Refunds that staff ask for need a second person above this; `None`: never."""
    payout_approval_above_fen: int | None = None
    """The same for transfers to users."""


async def current(session: AsyncSession) -> Policy:
    """The policy in force."""
    row = (await session.execute(select(PaymentPolicy))).scalar_one_or_none()
    return Policy() if row is None else msgspec.convert(row, Policy, from_attributes=True)


async def replace(session: AsyncSession, policy: Policy, *, by: str, at: datetime) -> None:
    """Put `policy` in force, as a whole."""
    values = {**msgspec.structs.asdict(policy), "updated_at": at, "updated_by": by}
    statement = insert(PaymentPolicy).values(id=1, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=[PaymentPolicy.id], set_=values))
