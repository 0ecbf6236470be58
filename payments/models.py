"""Tables of money: attempts to be paid, refunds, what WeChat told us, and what needs a look.

OPENING ──▶ OPEN ──▶ RECEIVED         the money is in
   │          │          ▲
   └──────────┴─▶ CLOSED ┘            money may still arrive for what we closed: it is received, and goes back

WAITING ─▶ REQUESTED ─▶ PROCESSING ─▶ SUCCEEDED
   │        ▲  │ ▲        ├──────▶ ABNORMAL ─▶ PROCESSING
   ▼        │  ▼ │        └──────▶ CLOSED
REJECTED ───┘ REFUSED     (what ended may go on: REFUSED by its own number, CLOSED by another, REJECTED if WeChat has it)
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Table
from kit.errors import Conflict


class PaymentState(StrEnum):
    OPENING = "opening"
    """The intent is committed; whether WeChat has the order is not known yet."""
    OPEN = "open"
    """WeChat has the order; the payer may pay."""
    RECEIVED = "received"
    CLOSED = "closed"
    """WeChat was told, and asked: nobody can pay it any more."""


class RefundState(StrEnum):
    WAITING = "waiting"
    """Above the shop's limit: a second person decides. Its amount is claimed; WeChat knows nothing of it."""
    REQUESTED = "requested"
    """The intent is committed; WeChat may or may not have it."""
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    ABNORMAL = "abnormal"
    """The payer's account is gone; the money waits with the merchant and a person decides."""
    CLOSED = "closed"
    REFUSED = "refused"
    """WeChat will not do it as things are: a person mends the cause, or decides otherwise."""
    REJECTED = "rejected"
    """The second person said no."""


class RefundOrigin(StrEnum):
    SYSTEM = "system"
    """Money that must not stay: late, twice, a wrong amount. Nobody needs to approve it."""
    STAFF = "staff"
    PORTAL = "portal"
    """Made by hand in WeChat's merchant portal; we heard of it afterwards."""


class RefundWait(StrEnum):
    """Why a `requested` refund is not with WeChat yet."""

    GAP = "gap"
    """Parts of one payment go out a minute apart."""
    NOT_ENOUGH = "not_enough"
    """The merchant's balance is too small; the same number is tried again."""
    SHARES = "shares"
    """What was shared with others must come back first."""


PAYMENT_MOVES: dict[PaymentState, frozenset[PaymentState]] = {
    PaymentState.OPENING: frozenset({PaymentState.OPEN, PaymentState.RECEIVED, PaymentState.CLOSED}),
    PaymentState.OPEN: frozenset({PaymentState.RECEIVED, PaymentState.CLOSED}),
    PaymentState.CLOSED: frozenset({PaymentState.RECEIVED}),
    PaymentState.RECEIVED: frozenset(),
}
REFUND_MOVES: dict[RefundState, frozenset[RefundState]] = {
    RefundState.WAITING: frozenset({RefundState.REQUESTED, RefundState.REJECTED}),
    RefundState.REQUESTED: frozenset(
        {
            RefundState.PROCESSING,
            RefundState.SUCCEEDED,
            RefundState.ABNORMAL,
            RefundState.CLOSED,
            RefundState.REFUSED,
        }
    ),
    RefundState.PROCESSING: frozenset({RefundState.SUCCEEDED, RefundState.ABNORMAL, RefundState.CLOSED}),
    RefundState.ABNORMAL: frozenset({RefundState.PROCESSING, RefundState.SUCCEEDED, RefundState.CLOSED}),
    RefundState.SUCCEEDED: frozenset(),
    RefundState.CLOSED: frozenset(),
    RefundState.REFUSED: frozenset({RefundState.REQUESTED}),
    RefundState.REJECTED: frozenset({RefundState.REQUESTED}),
}
UNDONE = (RefundState.CLOSED, RefundState.REFUSED, RefundState.REJECTED)
"""Ended without money: what the refund claimed is free again."""
LIVE = (PaymentState.OPENING, PaymentState.OPEN)
LIVE_SQL = ", ".join(f"'{state}'" for state in LIVE)


class IllegalMove(Conflict):
    """{what} cannot go from {source} to {target}."""

    zh = "{what} 不能从 {source} 变为 {target}"


class Payment(Table):
    """One attempt to be paid, with its own `out_trade_no`. At most one live and at most one applied per payable."""

    __tablename__ = "payment"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("refunded_fen >= 0 AND refunded_fen <= coalesce(received_fen, 0)", name="refunded"),
        CheckConstraint("NOT applied OR state = 'received'", name="applied"),
        CheckConstraint("reversing_at IS NULL OR channel = 'code' AND state <> 'received'", name="reversing"),
        CheckConstraint(
            "shared_fen >= 0 AND shared_fen <= CASE WHEN profit_sharing THEN coalesce(received_fen, 0) ELSE 0 END",
            name="shared",
        ),
        CheckConstraint(
            "(state = 'received') = (transaction_id IS NOT NULL AND received_fen IS NOT NULL AND received_at IS NOT NULL)",
            name="received",
        ),
        Index("uq_payment_live", "payable", unique=True, postgresql_where=text("state IN ('opening', 'open')")),
        Index("uq_payment_applied", "payable", unique=True, postgresql_where=text("applied")),
        Index("ix_payment_check_at", "check_at", postgresql_where=text("state IN ('opening', 'open')")),
        Index("ix_payment_combine_no", "combine_no", postgresql_where=text("combine_no IS NOT NULL")),
        Index(None, "payable"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    out_trade_no: Mapped[str] = mapped_column(unique=True)
    payable: Mapped[str]
    """What it is for: opaque here (an order's `no`)."""
    channel: Mapped[str]
    """`jsapi`, `app`, `h5`, `native`, `code` (shown at the counter); an external one's own."""
    combine_no: Mapped[str | None]
    """One sheet for several payables: WeChat queries and closes only all of a combination."""
    mchid: Mapped[str]
    sub_mchid: Mapped[str | None]
    """Whose money it is, when `mchid` is a partner's who collects for others too."""
    appid: Mapped[str]
    openid: Mapped[str | None]
    """The payer we named (JSAPI)."""
    currency: Mapped[str]
    amount_fen: Mapped[int]
    description: Mapped[str]
    state: Mapped[str]
    external: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    """Taken elsewhere (the WeChat Store): recorded and applied, never closed or refunded by us."""
    expires_at: Mapped[datetime]
    """WeChat's `time_expire`; of a payment code, until when we wait for the payer."""
    client_ip: Mapped[str | None]
    """Where the browser is (H5). Kept because a create is repeated with the same bytes."""
    h5_type: Mapped[str | None]
    token: Mapped[str | None]
    """What opens the payment in the client: WeChat's `prepay_id`, `h5_url` or `code_url`."""
    token_at: Mapped[datetime | None]
    reversing_at: Mapped[datetime | None]
    """A payment code that is being undone: from here on its money goes back, whatever WeChat says in between."""
    transaction_id: Mapped[str | None] = mapped_column(unique=True)
    received_fen: Mapped[int | None]
    received_at: Mapped[datetime | None]
    """WeChat's `success_time`."""
    applied: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    """It is this payment that paid the payable."""
    refunded_fen: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """Sum of the refunds that are under way or done."""
    profit_sharing: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    """Opened for profit sharing: WeChat freezes the money until it is shared or unfrozen."""
    shared_fen: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """Sum of the shares under way or done, less what came back; with `refunded_fen` within what came in (a trigger)."""
    check_at: Mapped[datetime]
    """When to ask WeChat next, should no news come."""
    checks: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    last_error: Mapped[str | None]
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    def move(self, to: PaymentState) -> None:
        """Raises `IllegalMove` (409)."""
        source = PaymentState(self.state)
        if to not in PAYMENT_MOVES[source]:
            raise IllegalMove(what="payment", source=source, target=to)
        self.state = to


class Refund(Table):
    """Money back, promised once for each `cause`."""

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint(
            "state IN ('waiting', 'requested', 'processing', 'succeeded', 'abnormal', 'closed', 'refused', 'rejected')",
            name="state",
        ),
        CheckConstraint("origin IN ('system', 'staff', 'portal')", name="origin"),
        CheckConstraint("state NOT IN ('waiting', 'rejected') OR origin = 'staff'", name="waits"),
        CheckConstraint("decided_by <> requested_by", name="second_person"),
        CheckConstraint("waiting_for IS NULL OR state = 'requested'", name="waiting_for"),
        CheckConstraint("(state = 'succeeded') = (succeeded_at IS NOT NULL)", name="succeeded"),
        Index(
            "ix_refund_check_at", "check_at", postgresql_where=text("state IN ('requested', 'processing', 'abnormal')")
        ),
        Index(None, "payment_id"),
        Index(None, "payable"),
        Index(None, "state", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    out_refund_no: Mapped[str] = mapped_column(unique=True)
    """Derived from the merchant's number and `cause`; WeChat's own for one made in the portal."""
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"))
    payable: Mapped[str]
    cause: Mapped[str] = mapped_column(unique=True)
    """Why, and which: `aftersale:<no>`, `late:<transaction id>`. The same cause is never refunded twice."""
    origin: Mapped[str] = mapped_column(default=RefundOrigin.SYSTEM, server_default=text("'system'"))
    amount_fen: Mapped[int]
    """Of the order's total. The payer gets `payer_refund_fen` of it, the rest goes back into coupons."""
    reason: Mapped[str]
    """Shown to the payer."""
    state: Mapped[str]
    refund_id: Mapped[str | None]
    promises: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    """How often this number was promised: once, and once more for each time it was refused and set going again."""
    attempts: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    sent_at: Mapped[datetime | None]
    """When it was last brought to WeChat."""
    check_at: Mapped[datetime]
    waiting_for: Mapped[str | None]
    waiting_since: Mapped[datetime | None]
    last_error: Mapped[str | None]
    payer_refund_fen: Mapped[int | None]
    """WeChat's word: what the payer gets of it."""
    discount_refund_fen: Mapped[int | None]
    """WeChat's word: the coupons' share."""
    settlement_refund_fen: Mapped[int | None]
    """WeChat's word: what is taken from our settlement."""
    user_received_account: Mapped[str | None]
    """WeChat's word, for people: where the payer finds it."""
    requested_by: Mapped[str]
    requested_at: Mapped[datetime]
    decided_by: Mapped[str | None]
    """The second person, who approved or rejected it."""
    decided_at: Mapped[datetime | None]
    succeeded_at: Mapped[datetime | None]

    def move(self, to: RefundState) -> None:
        """Raises `IllegalMove` (409)."""
        source = RefundState(self.state)
        if to not in REFUND_MOVES[source]:
            raise IllegalMove(what="refund", source=source, target=to)
        self.state = to
        self.waiting_for = self.waiting_since = None


class Notice(Table):
    """What WeChat Pay told us, written down before it is handled. The body stays encrypted as it came."""

    __tablename__ = "notice"
    __table_args__ = (
        Index("ix_notice_open", "retry_at", postgresql_where=text("handled_at IS NULL")),
        Index(None, "handled_at", postgresql_where=text("handled_at IS NOT NULL")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    """WeChat's event id, the same in every repeat."""
    event_type: Mapped[str]
    original_type: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime]
    retry_at: Mapped[datetime]
    """When our own sweep handles it, should nobody have done so before."""
    handled_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    last_error: Mapped[str | None]


class PaymentException(Table):
    """Money or news that did not fit. Visible until it is settled by itself or decided by a person."""

    __tablename__ = "payment_exception"
    __table_args__ = (
        Index("uq_payment_exception_kind_reference", "kind", "reference", unique=True),
        Index("ix_payment_exception_open", "created_at", postgresql_where=text("resolved_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    kind: Mapped[str]
    reference: Mapped[str]
    """What it is about: a transaction id, an out_refund_no, a notice id. One case for each kind and reference."""
    payment_id: Mapped[int | None] = mapped_column(ForeignKey("payment.id"))
    refund_id: Mapped[int | None] = mapped_column(ForeignKey("refund.id"))
    """The refund that answers it by itself."""
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[str | None]
    resolution: Mapped[str | None]
