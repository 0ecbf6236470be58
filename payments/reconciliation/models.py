"""Tables of the bills: what WeChat Pay wrote down of each day, and how it fits what we know.

bill       WANTED ──▶ VERIFIED     the file is kept, its hash, counts and totals are right, its rows are in
             ▲   └──▶ EMPTY        nothing happened that day, and we know of nothing either
             └─▶ FAILED            it cannot be had, or it cannot be believed: a case says why

bill_day   OPEN ──▶ AGREED ◀─▶ DIFFERS

Files, chunks and rows are only ever added; rows carry their day first, so that they can be partitioned by it. No openid
and no text of a merchant's is taken out of the file.
"""

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Identity, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Table
from payments.ledger import Posting
from payments.models import Payment, Refund

BILL_TURN = timedelta(minutes=5)


class BillKind(StrEnum):
    TRADE = "trade"
    """Every payment and every accepted refund of a day (`ALL`)."""
    FUND_FLOW = "fund_flow"
    """Every movement on the merchant's `BASIC` account: never of a sub-merchant, see `wanting.kinds_of`."""


class BillState(StrEnum):
    WANTED = "wanted"
    VERIFIED = "verified"
    EMPTY = "empty"
    FAILED = "failed"


class DayState(StrEnum):
    OPEN = "open"
    """Its bills are not all in, or it has not been matched."""
    AGREED = "agreed"
    DIFFERS = "differs"


class BillDay(Table):
    """One Beijing day, matched three ways."""

    __tablename__ = "bill_day"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'agreed', 'differs')", name="state"),
        Index("ix_bill_day_check_at", "check_at", postgresql_where=text("check_at IS NOT NULL")),
    )

    day: Mapped[date] = mapped_column(primary_key=True)
    state: Mapped[str]
    check_at: Mapped[datetime | None]
    """When it is matched (again); `None`: no more by itself."""
    run: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How often it was matched."""
    figures: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """The report of the last run: counts and fen."""
    matched_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    """Why the last run failed; or, of a sub-merchant, what is never matched."""


class BillFile(Table):
    """A file as WeChat gave it, also one that turned out broken: its bytes are kept, compressed, in chunks."""

    __tablename__ = "bill_file"
    __table_args__ = (
        Index("uq_bill_file_broken", "day", "kind", "sha1", unique=True, postgresql_where=text("broken IS NOT NULL")),
        {"info": {"append_only": True}},
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    day: Mapped[date]
    kind: Mapped[str]
    sha1: Mapped[str]
    """Of the uncompressed bytes, as we counted it."""
    size_bytes: Mapped[int]
    """Uncompressed."""
    rows: Mapped[int]
    broken: Mapped[str | None]
    """Why it cannot be believed."""
    summary: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """The file's own counts and totals, in its own words."""
    downloaded_at: Mapped[datetime]


class BillChunk(Table):
    """A piece of a file; all of them in a row are one gzip stream."""

    __tablename__ = "bill_chunk"
    __table_args__ = ({"info": {"append_only": True}},)

    file_id: Mapped[int] = mapped_column(ForeignKey("bill_file.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class Bill(Table):
    """One bill of one day, wanted until it is had."""

    __tablename__ = "bill"
    __table_args__ = (
        CheckConstraint("kind IN ('trade', 'fund_flow')", name="kind"),
        CheckConstraint("state IN ('wanted', 'verified', 'empty', 'failed')", name="state"),
        CheckConstraint("(state = 'verified') = (file_id IS NOT NULL)", name="file"),
        Index("ix_bill_check_at", "check_at", postgresql_where=text("state = 'wanted'")),
    )

    day: Mapped[date] = mapped_column(ForeignKey("bill_day.day"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    check_at: Mapped[datetime]
    """When to ask for it next; pushed forward by whoever is at it."""
    attempts: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How long it was asked for in vain, in `BILL_TURN`s: a refusal is an hour of them, silence one."""
    broken: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How often a file came that could not be believed."""
    file_id: Mapped[int | None] = mapped_column(ForeignKey("bill_file.id"))
    last_error: Mapped[str | None]

    @property
    def hours_in_vain(self) -> int:
        """As people read it: each refusal is one."""
        return -(-self.attempts * BILL_TURN // timedelta(hours=1))


class BillTrade(Table):
    """A row of a trade bill: a payment, or (with `refund_id`) a refund as it stood when the bill was made."""

    __tablename__ = "bill_trade"
    __table_args__ = (
        Index(None, "transaction_id"),
        Index("ix_bill_trade_refund_id", "refund_id", postgresql_where=text("refund_id IS NOT NULL")),
        {"info": {"append_only": True}},
    )

    day: Mapped[date] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    mchid: Mapped[str]
    appid: Mapped[str]
    transaction_id: Mapped[str]
    out_trade_no: Mapped[str]
    trade_type: Mapped[str]
    trade_state: Mapped[str]
    currency: Mapped[str]
    settlement_fen: Mapped[int]
    coupon_fen: Mapped[int]
    order_fen: Mapped[int]
    refund_id: Mapped[str | None]
    out_refund_no: Mapped[str | None]
    refund_status: Mapped[str]
    refund_fen: Mapped[int]
    """退款金额: what left the account."""
    refund_coupon_fen: Mapped[int]
    requested_fen: Mapped[int]
    """申请退款金额: what was asked."""
    fee_millifen: Mapped[int]
    """Exactly as billed: yuan with five decimals are thousandths of a fen. Negative: returned."""
    fee_fen: Mapped[int]
    """In whole fen, so that the fees of the first n rows are always the rounded sum of the first n."""


class BillFlow(Table):
    """A row of a fund-flow bill: one movement on the account."""

    __tablename__ = "bill_flow"
    __table_args__ = (Index(None, "day", "business_id"), {"info": {"append_only": True}})

    day: Mapped[date] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    business_id: Mapped[str]
    """微信支付业务单号: a transaction, a refund, a withdrawal."""
    flow_id: Mapped[str]
    name: Mapped[str]
    type: Mapped[str]
    amount_fen: Mapped[int]
    """Signed: income is positive."""
    balance_fen: Mapped[int]
    voucher: Mapped[str]
    """业务凭证号: the merchant's own number."""


class BillDifference(Table):
    """Something that does not fit, once for each day, kind and reference. It stays when it is gone, with the time."""

    __tablename__ = "bill_difference"
    __table_args__ = (
        Index(None, "day", "kind", "reference", unique=True),
        Index(None, "kind", "reference"),
        Index(None, "day", "id"),
        ForeignKeyConstraint(["day"], ["bill_day.day"]),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    day: Mapped[date]
    kind: Mapped[str]
    reference: Mapped[str]
    """A transaction id, a refund id, a flow id, an order's no, a day."""
    out_trade_no: Mapped[str | None]
    out_refund_no: Mapped[str | None]
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """What the bill, our payments and refunds, and the order say."""
    run: Mapped[int]
    """The day's run that saw it last."""
    waits: Mapped[bool]
    """The next day's bill may still explain it."""
    found_at: Mapped[datetime]
    asked_at: Mapped[datetime | None]
    """When WeChat was asked about it."""
    answer: Mapped[str | None]
    """What came of that."""
    noted_at: Mapped[datetime | None]
    """When it became a case."""
    gone_at: Mapped[datetime | None]


# What the matching looks up by: the money of a day, and a refund by WeChat's number.
Index("ix_posting_at", Posting.at, postgresql_using="brin")
Index("ix_payment_received_at", Payment.received_at, postgresql_where=Payment.received_at.is_not(None))
Index("ix_refund_refund_id", Refund.refund_id, postgresql_where=Refund.refund_id.is_not(None))
Index("ix_refund_succeeded_at", Refund.succeeded_at, postgresql_where=Refund.succeeded_at.is_not(None))
