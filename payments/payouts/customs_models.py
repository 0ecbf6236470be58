"""What customs is told of a payment for goods from abroad.

REQUESTED ─▶ PROCESSING ─▶ SUBMITTED ─▶ SUCCESS | FAIL | EXCEPT        any end ─▶ REQUESTED (told once more)
     └─▶ REFUSED     └─▶ UNDECLARED
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Table
from payments.models import IllegalMove
from payments.payouts.pursuit import Pursued, one_of


class Customs(StrEnum):
    """The customs offices that WeChat Pay declares to, by its own codes."""

    GUANGZHOU_ZS = "GUANGZHOU_ZS"
    HANGZHOU_ZS = "HANGZHOU_ZS"
    NINGBO = "NINGBO"
    ZHENGZHOU_BS = "ZHENGZHOU_BS"
    CHONGQING = "CHONGQING"
    SHANGHAI_ZS = "SHANGHAI_ZS"
    SHENZHEN = "SHENZHEN"
    ZHENGZHOU_ZH_ZS = "ZHENGZHOU_ZH_ZS"
    TIANJIN = "TIANJIN"


class DeclarationState(StrEnum):
    REQUESTED = "requested"
    """Ours: WeChat may or may not have it."""
    UNDECLARED = "undeclared"
    PROCESSING = "processing"
    SUBMITTED = "submitted"
    SUCCESS = "success"
    FAIL = "fail"
    EXCEPT = "except"
    """Customs could not work on it; it may be declared again."""
    REFUSED = "refused"
    """Ours: WeChat will not take it."""


class Call(StrEnum):
    """By which of WeChat's calls it is told."""

    DECLARE = "declare"
    AMEND = "amend"
    """After FAIL, with other values."""
    REDECLARE = "redeclare"
    """After SUCCESS or EXCEPT, the same once more: customs may have lost it."""


_D = DeclarationState
HEARD = frozenset({_D.UNDECLARED, _D.PROCESSING, _D.SUBMITTED, _D.SUCCESS, _D.FAIL, _D.EXCEPT})
MOVES: dict[DeclarationState, frozenset[DeclarationState]] = {
    _D.REQUESTED: HEARD | {_D.REFUSED},
    _D.UNDECLARED: HEARD - {_D.UNDECLARED},
    _D.PROCESSING: HEARD - {_D.UNDECLARED, _D.PROCESSING},
    _D.SUBMITTED: frozenset({_D.SUCCESS, _D.FAIL, _D.EXCEPT}),
    _D.FAIL: frozenset({_D.REQUESTED}),
    _D.EXCEPT: frozenset({_D.REQUESTED}),
    _D.REFUSED: frozenset({_D.REQUESTED}),
    _D.SUCCESS: frozenset({_D.REQUESTED}),
}
OPEN = frozenset({_D.REQUESTED, _D.UNDECLARED, _D.PROCESSING, _D.SUBMITTED})
AGAIN = {_D.FAIL: Call.AMEND, _D.EXCEPT: Call.REDECLARE, _D.SUCCESS: Call.REDECLARE, _D.REFUSED: Call.DECLARE}
"""What ended may be told once more, and how."""


class Declaration(Pursued, Table):
    """One payment, or one part of it (`sub_order_no`), told to one customs office."""

    __tablename__ = "customs_declaration"
    __table_args__: Any = (
        one_of("state", DeclarationState),
        one_of("customs", Customs),
        one_of("call", Call),
        UniqueConstraint("payment_id", "customs", "sub_order_no"),
        CheckConstraint("(sub_order_no = '') = (order_fen IS NULL)", name="sub_order"),
        CheckConstraint("order_fen = transport_fen + product_fen", name="sub_order_sum"),
        CheckConstraint("duty_fen >= 0 AND transport_fen >= 0 AND product_fen >= 0", name="amounts"),
        Index(
            "ix_customs_declaration_check_at",
            "check_at",
            postgresql_where=text("state IN ('requested', 'undeclared', 'processing', 'submitted')"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"))
    customs: Mapped[str]
    merchant_customs_no: Mapped[str]
    """The merchant's number at that office."""
    duty_fen: Mapped[int | None]
    sub_order_no: Mapped[str]
    """When one payment is declared in parts: the part's own number, with its amounts. Else empty."""
    order_fen: Mapped[int | None]
    transport_fen: Mapped[int | None]
    product_fen: Mapped[int | None]
    state: Mapped[str]
    call: Mapped[str]
    modified_at: Mapped[datetime | None]
    """WeChat's `modify_time` of what we know: a later one says that it has heard of it once more."""
    verify_department: Mapped[str | None]
    verify_department_trade_id: Mapped[str | None]
    explanation: Mapped[str | None]
    turns: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    """How often it was declared."""
    requested_by: Mapped[str]
    requested_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    def move(self, to: DeclarationState, at: datetime) -> None:
        """Raises `IllegalMove` (409)."""
        source = DeclarationState(self.state)
        if to not in MOVES[source]:
            raise IllegalMove(what="declaration", source=source, target=to)
        self.state = to
        self.stir(at)
        self.ended_at = None if to in OPEN else at
