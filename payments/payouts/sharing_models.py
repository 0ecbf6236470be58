"""Profit sharing (分账): receivers, shares of one payment with their parts, and what came back.

receiver  ADDING ─▶ ACTIVE ─▶ REMOVING ─▶ REMOVED ─▶ ADDING      any call may end REFUSED
share     REQUESTED ─▶ PROCESSING ─▶ FINISHED                    or REFUSED
part      PENDING ─▶ SUCCESS | CLOSED
return    REQUESTED ─▶ PROCESSING ─▶ SUCCEEDED | FAILED          or REFUSED
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Table
from payments.models import IllegalMove
from payments.payouts.pursuit import Pursued, one_of


class ReceiverKind(StrEnum):
    MERCHANT_ID = "MERCHANT_ID"
    PERSONAL_OPENID = "PERSONAL_OPENID"
    PERSONAL_SUB_OPENID = "PERSONAL_SUB_OPENID"


class Relation(StrEnum):
    """What a receiver is to the merchant, by WeChat's own words."""

    SERVICE_PROVIDER = "SERVICE_PROVIDER"
    STORE = "STORE"
    STAFF = "STAFF"
    STORE_OWNER = "STORE_OWNER"
    PARTNER = "PARTNER"
    HEADQUARTER = "HEADQUARTER"
    BRAND = "BRAND"
    DISTRIBUTOR = "DISTRIBUTOR"
    USER = "USER"
    SUPPLIER = "SUPPLIER"
    CUSTOM = "CUSTOM"


class ReceiverState(StrEnum):
    ADDING = "adding"
    ACTIVE = "active"
    REMOVING = "removing"
    REMOVED = "removed"
    REFUSED = "refused"


class ShareState(StrEnum):
    REQUESTED = "requested"
    PROCESSING = "processing"
    FINISHED = "finished"
    REFUSED = "refused"


class PartState(StrEnum):
    PENDING = "pending"
    SUCCESS = "success"
    CLOSED = "closed"
    """This receiver gets nothing; the fail reason says why."""


class ReturnState(StrEnum):
    REQUESTED = "requested"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"


_R, _S, _B = ReceiverState, ShareState, ReturnState
RECEIVER_MOVES: dict[ReceiverState, frozenset[ReceiverState]] = {
    _R.ADDING: frozenset({_R.ACTIVE, _R.REFUSED}),
    _R.ACTIVE: frozenset({_R.REMOVING}),
    _R.REMOVING: frozenset({_R.REMOVED, _R.ACTIVE}),
    _R.REMOVED: frozenset({_R.ADDING}),
    _R.REFUSED: frozenset({_R.ADDING}),
}
SHARE_MOVES: dict[ShareState, frozenset[ShareState]] = {
    _S.REQUESTED: frozenset({_S.PROCESSING, _S.FINISHED, _S.REFUSED}),
    _S.PROCESSING: frozenset({_S.FINISHED}),
    _S.FINISHED: frozenset(),
    _S.REFUSED: frozenset(),
}
RETURN_MOVES: dict[ReturnState, frozenset[ReturnState]] = {
    _B.REQUESTED: frozenset({_B.PROCESSING, _B.SUCCEEDED, _B.FAILED, _B.REFUSED}),
    _B.PROCESSING: frozenset({_B.SUCCEEDED, _B.FAILED}),
    _B.SUCCEEDED: frozenset(),
    _B.FAILED: frozenset(),
    _B.REFUSED: frozenset(),
}
UNDER_WAY = ("requested", "processing")
_UNDER_WAY = text("state IN ('requested', 'processing')")


class ShareReceiver(Pursued, Table):
    """Somebody who may get shares: mirrored from WeChat, where they must be known first."""

    __tablename__ = "share_receiver"
    __table_args__: Any = (
        one_of("state", ReceiverState),
        one_of("kind", ReceiverKind),
        one_of("relation", Relation),
        UniqueConstraint("kind", "account"),
        CheckConstraint("kind <> 'MERCHANT_ID' OR named", name="merchant_named"),
        CheckConstraint("(relation = 'CUSTOM') = (custom_relation IS NOT NULL)", name="custom_relation"),
        CheckConstraint(
            "(sealed_name IS NULL) = (sealed_for IS NULL) AND (sealed_name IS NULL OR state = 'adding')",
            name="sealed_name",
        ),
        Index("ix_share_receiver_check_at", "check_at", postgresql_where=text("state IN ('adding', 'removing')")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    kind: Mapped[str]
    account: Mapped[str]
    """A merchant's number, or an openid."""
    relation: Mapped[str]
    custom_relation: Mapped[str | None]
    named: Mapped[bool]
    sealed_name: Mapped[str | None]
    """Their name for WeChat to compare, encrypted to its key; gone when it was compared."""
    sealed_for: Mapped[str | None]
    state: Mapped[str]
    changed_by: Mapped[str]
    changed_at: Mapped[datetime]

    def move(self, to: ReceiverState, at: datetime) -> None:
        """Raises `IllegalMove` (409)."""
        source = ReceiverState(self.state)
        if to not in RECEIVER_MOVES[source]:
            raise IllegalMove(what="receiver", source=source, target=to)
        self.state = to
        self.stir(at)
        if to != ReceiverState.ADDING:
            self.sealed_name = self.sealed_for = None


USES_ITS_CAUSE = text("state <> 'refused'")
"""As text, also for ON CONFLICT: see `payments.payouts.models`."""


class Share(Pursued, Table):
    """One request to share a payment, or to unfreeze what is left of it (no parts)."""

    __tablename__ = "share"
    __table_args__: Any = (
        one_of("state", ShareState),
        Index("uq_share_unfreeze", "payment_id", unique=True, postgresql_where=text("unfreeze AND state <> 'refused'")),
        Index("uq_share_cause", "cause", unique=True, postgresql_where=USES_ITS_CAUSE),
        Index("ix_share_check_at", "check_at", postgresql_where=_UNDER_WAY),
        Index(None, "payment_id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    out_order_no: Mapped[str] = mapped_column(unique=True)
    """The payment's `out_trade_no` and the turn."""
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"))
    cause: Mapped[str]
    unfreeze: Mapped[bool]
    """The rest is the merchant's own afterwards: nothing more can be shared."""
    description: Mapped[str]
    state: Mapped[str]
    order_id: Mapped[str | None]
    requested_by: Mapped[str]
    requested_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    def move(self, to: ShareState, at: datetime) -> None:
        """Raises `IllegalMove` (409)."""
        source = ShareState(self.state)
        if to not in SHARE_MOVES[source]:
            raise IllegalMove(what="share", source=source, target=to)
        self.state = to
        self.stir(at)
        if not SHARE_MOVES[to]:
            self.ended_at = at


class SharePart(Table):
    """What one receiver gets of a share. `returned_fen` is claimed by returns that are under way or done."""

    __tablename__ = "share_part"
    __table_args__: Any = (
        one_of("state", PartState),
        UniqueConstraint("share_id", "n"),
        UniqueConstraint("share_id", "receiver_id"),
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("returned_fen BETWEEN 0 AND amount_fen", name="returned"),
        CheckConstraint("state = 'success' OR returned_fen = 0", name="returned_of_nothing"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    share_id: Mapped[int] = mapped_column(ForeignKey("share.id"))
    n: Mapped[int]
    receiver_id: Mapped[int] = mapped_column(ForeignKey("share_receiver.id"))
    amount_fen: Mapped[int]
    description: Mapped[str]
    state: Mapped[str]
    fail_reason: Mapped[str | None]
    detail_id: Mapped[str | None]
    returned_fen: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    ended_at: Mapped[datetime | None]


class ShareReturn(Pursued, Table):
    """Part of a share back from a merchant (回退)."""

    __tablename__ = "share_return"
    __table_args__: Any = (
        one_of("state", ReturnState),
        CheckConstraint("amount_fen > 0", name="amount"),
        Index("ix_share_return_check_at", "check_at", postgresql_where=_UNDER_WAY),
        Index(None, "part_id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    out_return_no: Mapped[str] = mapped_column(unique=True)
    """The share's `out_order_no`, the part and the turn."""
    part_id: Mapped[int] = mapped_column(ForeignKey("share_part.id"))
    amount_fen: Mapped[int]
    description: Mapped[str]
    state: Mapped[str]
    return_id: Mapped[str | None]
    fail_reason: Mapped[str | None]
    requested_by: Mapped[str]
    requested_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    def move(self, to: ReturnState, at: datetime) -> None:
        """Raises `IllegalMove` (409)."""
        source = ReturnState(self.state)
        if to not in RETURN_MOVES[source]:
            raise IllegalMove(what="share return", source=source, target=to)
        self.state = to
        self.stir(at)
        if not RETURN_MOVES[to]:
            self.ended_at = at
