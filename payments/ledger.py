"""The ledger: every movement of money with its cause, double entry, append-only.

A posting moves one amount from one account to another: `debit` grows, `credit` gives. So a posting cannot be out of
balance, and the sum over all accounts is zero at any instant by construction. The same cause moves the same two accounts
once (a unique index): a second booking is refused by the database.

Context: what is owed to whom must be provable from the rows alone. Decision: one row is both sides of a transfer.
Consequence: the trial balance needs no trigger. Alternative: one row for each side and a check at commit; it can be
forgotten, and it costs a second write.

No personal value stands here: only numbers of rows that can be erased.
"""

from datetime import datetime
from enum import StrEnum

import msgspec
from sqlalchemy import CheckConstraint, Identity, Index, insert, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Table


class Account(StrEnum):
    """The chart of accounts. Debit balances: what we have and what we spent; credit balances: what we owe and earned."""

    WECHAT = "wechat"
    """Asset: our money at WeChat Pay, settled or not."""
    ELSEWHERE = "elsewhere"
    """Asset: money that another system of WeChat's took for us (the Store)."""
    BANK = "bank"
    """Asset: what WeChat Pay paid out to the merchant's bank account."""
    SALES = "sales"
    """Credit: money kept for goods owed or delivered."""
    UNAPPLIED = "unapplied"
    """Liability: money received that paid for nothing; it goes back, or a person decides."""
    REFUNDS_PAYABLE = "refunds_payable"
    """Liability: promised back and not yet with the payer."""
    FEES = "fees"
    """Expense: what WeChat Pay keeps for its service."""
    WECHAT_COUPONS = "wechat_coupons"
    """Expense: what coupons that are not prefunded take off the settlement."""
    PAYOUTS = "payouts"
    """Expense: transfers to users."""
    PAYOUTS_PAYABLE = "payouts_payable"
    """Liability: transfers promised and not yet with the user."""
    SHARED = "shared"
    """Expense: shares of a sale that went to others."""
    SUSPENSE = "suspense"
    """What a bill shows and nobody has explained yet."""


class Posting(Table):
    """`amount_fen` from `credit` to `debit`, because of `cause`."""

    __tablename__ = "posting"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("debit <> credit", name="accounts"),
        Index("uq_posting_cause", "cause", "debit", "credit", unique=True),
        Index(None, "payable"),
        {"info": {"append_only": True}},
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    cause: Mapped[str]
    """What happened, and to which row: `received:<out_trade_no>`, `refund:<out_refund_no>`, `refunded:<out_refund_no>`."""
    debit: Mapped[str]
    credit: Mapped[str]
    amount_fen: Mapped[int]
    currency: Mapped[str]
    payable: Mapped[str]
    """What it was for (an order's `no`), or empty."""
    at: Mapped[datetime]
    """When it happened, in business time."""


async def post(
    session: AsyncSession,
    cause: str,
    debit: Account,
    credit: Account,
    amount_fen: int,
    *,
    payable: str,
    at: datetime,
    currency: str = "CNY",
) -> None:
    """Book `amount_fen` > 0 from `credit` to `debit` in the caller's transaction. The same cause a second time fails."""
    await session.execute(
        insert(Posting).values(
            cause=cause,
            debit=debit,
            credit=credit,
            amount_fen=amount_fen,
            currency=currency,
            payable=payable,
            at=at,
        )
    )


class Balance(msgspec.Struct, frozen=True):
    """What went into an account and out of it, in one currency."""

    account: str
    currency: str
    debit_fen: int
    credit_fen: int

    @property
    def balance_fen(self) -> int:
        return self.debit_fen - self.credit_fen


_BALANCES = text(
    """
    SELECT account, currency, sum(debit)::bigint AS debit_fen, sum(credit)::bigint AS credit_fen FROM (
        SELECT debit AS account, currency, sum(amount_fen) AS debit, 0 AS credit FROM posting GROUP BY 1, 2
        UNION ALL
        SELECT credit, currency, 0, sum(amount_fen) FROM posting GROUP BY 1, 2
    ) sides GROUP BY 1, 2 ORDER BY 2, 1
    """
)


async def balances(session: AsyncSession) -> list[Balance]:
    """The trial balance: every account that was ever touched; in each currency the balances add up to zero."""
    return [Balance(**row) for row in (await session.execute(_BALANCES)).mappings()]


async def list_postings(
    session: AsyncSession, *, payable: str | None, account: Account | None, before: int | None, limit: int
) -> list[Posting]:
    """Postings, newest first, from below the id `before`."""
    statement = select(Posting).order_by(Posting.id.desc()).limit(limit)
    if payable:
        statement = statement.where(Posting.payable == payable)
    if account:
        statement = statement.where(or_(Posting.debit == account, Posting.credit == account))
    if before:
        statement = statement.where(Posting.id < before)
    return list(await session.scalars(statement))
