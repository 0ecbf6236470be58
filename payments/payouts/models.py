"""Transfers to users: the table, its states, and what one person may be promised in a day.

TO_APPROVE ─▶ REQUESTED ─▶ ACCEPTED ─▶ PROCESSING ─▶ WAIT_USER_CONFIRM ─▶ TRANSFERING ─▶ SUCCESS | FAIL
     │            ├─▶ REFUSED                              │    └─▶ FAIL (24 hours)
     └────────────┴──────────▶ CANCELLED ◀── CANCELING ◀───┘
"""

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Date, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Table
from payments.models import IllegalMove
from payments.payouts.pursuit import Pursued, one_of

NAME_FROM_FEN = 200_000
"""From 2,000 yuan WeChat wants the user's real name …"""
NAME_BELOW_FEN = 30
"""… and below 0.30 yuan it takes none."""


class TransferState(StrEnum):
    """WeChat's states (spelt as WeChat spells them), and ours before and instead of them."""

    TO_APPROVE = "to_approve"
    """Ours: a second person must agree."""
    REQUESTED = "requested"
    """Ours: the intent is committed; WeChat may or may not have it."""
    ACCEPTED = "accepted"
    PROCESSING = "processing"
    """Also: the merchant's balance is too small."""
    WAIT_USER_CONFIRM = "wait_user_confirm"
    TRANSFERING = "transfering"
    CANCELING = "canceling"
    SUCCESS = "success"
    FAIL = "fail"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    """Ours: WeChat will not take it."""


_ORDER = (
    TransferState.REQUESTED,
    TransferState.ACCEPTED,
    TransferState.PROCESSING,
    TransferState.WAIT_USER_CONFIRM,
    TransferState.TRANSFERING,
)
WITHOUT_MONEY = frozenset({TransferState.FAIL, TransferState.CANCELLED, TransferState.REFUSED})
"""Ended, and the money stayed here."""
ENDED = WITHOUT_MONEY | {TransferState.SUCCESS}
_FROM_WECHAT = frozenset({TransferState.SUCCESS, TransferState.FAIL, TransferState.CANCELLED})
MOVES: dict[TransferState, frozenset[TransferState]] = {
    TransferState.TO_APPROVE: frozenset({TransferState.REQUESTED, TransferState.CANCELLED}),
    **{  # WeChat is asked now and then, so states may be skipped, and never go backwards
        state: frozenset(_ORDER[place + 1 :]) | _FROM_WECHAT | {TransferState.CANCELING}
        for place, state in enumerate(_ORDER)
    },
    TransferState.REQUESTED: frozenset(_ORDER[1:]) | _FROM_WECHAT | {TransferState.CANCELING, TransferState.REFUSED},
    TransferState.CANCELING: _FROM_WECHAT,
    **dict.fromkeys(ENDED, frozenset()),
}
OPEN = frozenset(MOVES) - ENDED - {TransferState.TO_APPROVE}
"""WeChat has it, or may have."""
_KEEPS_NAME = "'to_approve', 'requested', 'accepted', 'processing', 'wait_user_confirm'"


# Said to ON CONFLICT too, as text: with parameters in it the index is found while plans are made anew for each execution,
# and not any more from a connection's sixth on.
USES_ITS_CAUSE = text("state NOT IN ('fail', 'cancelled', 'refused')")


class Transfer(Pursued, Table):
    """Money promised to one openid, once for each `cause`."""

    __tablename__ = "transfer"
    __table_args__: Any = (
        one_of("state", TransferState),
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint(f"named OR amount_fen < {NAME_FROM_FEN}", name="name_required"),
        CheckConstraint(f"NOT named OR amount_fen >= {NAME_BELOW_FEN}", name="name_not_allowed"),
        CheckConstraint(
            f"(sealed_name IS NULL) = (sealed_for IS NULL) AND (sealed_name IS NULL OR state IN ({_KEEPS_NAME}))",
            name="sealed_name",
        ),
        CheckConstraint("approved_by <> requested_by", name="second_person"),
        Index(
            "uq_transfer_cause",
            "cause",
            unique=True,
            postgresql_where=USES_ITS_CAUSE,
        ),
        Index(
            "ix_transfer_check_at",
            "check_at",
            postgresql_where=text("state NOT IN ('to_approve', 'success', 'fail', 'cancelled', 'refused')"),
        ),
        Index(None, "appid", "openid", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    out_bill_no: Mapped[str] = mapped_column(unique=True)
    cause: Mapped[str]
    """Why, and which. Never paid twice: only after one that ended without money may there be another."""
    payee: Mapped[str]
    """Who that is to the shop: opaque here (`member:12`)."""
    mchid: Mapped[str]
    appid: Mapped[str]
    openid: Mapped[str]
    amount_fen: Mapped[int]
    remark: Mapped[str]
    """Shown to the user."""
    scene_id: Mapped[str]
    report: Mapped[dict[str, str]] = mapped_column(JSONB)
    """What WeChat wants to know in this scene, by its own names."""
    named: Mapped[bool]
    """A real name was given, which WeChat compares."""
    sealed_name: Mapped[str | None]
    """That name, encrypted to WeChat's key when it was given: nobody here can read it. Gone as soon as it is not needed."""
    sealed_for: Mapped[str | None]
    """The serial of that key."""
    state: Mapped[str]
    transfer_bill_no: Mapped[str | None] = mapped_column(unique=True)
    package_info: Mapped[str | None]
    """What the user's client needs to confirm."""
    confirm_by: Mapped[datetime | None]
    fail_reason: Mapped[str | None]
    cancel_wanted_by: Mapped[str | None]
    requested_by: Mapped[str]
    requested_at: Mapped[datetime]
    approved_by: Mapped[str | None]
    approved_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    def rest(self, at: datetime) -> None:
        """As all, but not later than just after the user's time to confirm is over."""
        super().rest(at)
        if self.confirm_by is not None and self.confirm_by > at:
            self.check_at = min(self.check_at, self.confirm_by + timedelta(minutes=1))

    def move(self, to: TransferState, at: datetime) -> None:
        """Raises `IllegalMove` (409). At the end the name and the package are dropped."""
        source = TransferState(self.state)
        if to not in MOVES[source]:
            raise IllegalMove(what="transfer", source=source, target=to)
        self.state = to
        self.stir(at)
        if to in ENDED:
            self.ended_at = at
        if to not in (*_ORDER[:4], TransferState.TO_APPROVE):
            self.sealed_name = self.sealed_for = self.package_info = None


class TransferDay(Table):
    """What one openid was promised on one Beijing day: the database refuses more than the cap of that day."""

    __tablename__ = "transfer_day"
    __table_args__ = (CheckConstraint("promised_fen BETWEEN 0 AND cap_fen", name="cap"),)

    appid: Mapped[str] = mapped_column(primary_key=True)
    openid: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    promised_fen: Mapped[int]
    cap_fen: Mapped[int]


class PayoutPolicy(Table):
    """One row: what the shop allows. Without it, the defaults of `rules.Rules`."""

    __tablename__ = "payout_policy"
    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("daily_cap_fen > 0", name="daily_cap"),
        CheckConstraint("share_at_most_bp BETWEEN 0 AND 10000", name="share_at_most"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    daily_cap_fen: Mapped[int]
    share_orders: Mapped[bool]
    share_at_most_bp: Mapped[int]
    updated_at: Mapped[datetime]
    updated_by: Mapped[str]
