"""Tables of orders, and the legal moves of an order."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Table
from kit.errors import Conflict


class OrderState(StrEnum):
    UNPAID = "unpaid"
    CLOSING = "closing"
    """Somebody wants it closed; WeChat is being told and asked. No new payment can be opened."""
    CANCELLED = "cancelled"
    PAID = "paid"
    SHIPPED = "shipped"
    COMPLETED = "completed"
    REFUNDED = "refunded"
    """All of it went back."""


MOVES: dict[OrderState, frozenset[OrderState]] = {
    OrderState.UNPAID: frozenset({OrderState.PAID, OrderState.CLOSING, OrderState.CANCELLED}),
    OrderState.CLOSING: frozenset({OrderState.PAID, OrderState.CANCELLED}),
    OrderState.CANCELLED: frozenset({OrderState.PAID}),  # only by money that came late, when the shop wants that
    OrderState.PAID: frozenset({OrderState.SHIPPED, OrderState.REFUNDED}),
    OrderState.SHIPPED: frozenset({OrderState.COMPLETED, OrderState.REFUNDED}),
    OrderState.COMPLETED: frozenset({OrderState.REFUNDED}),
    OrderState.REFUNDED: frozenset(),
}
AWAITING = (OrderState.UNPAID, OrderState.CLOSING)
"""Goods are reserved, money may still come."""


class OrderMoveRefused(Conflict):
    """The order is {state}; that does not allow this."""

    zh = "订单当前状态（{state}）不允许此操作"


class Order(Table):
    """What a member ordered, with a snapshot of everything that was promised."""

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("total_fen = goods_fen - discount_fen + freight_fen AND total_fen > 0", name="total"),
        CheckConstraint("discount_fen >= 0 AND discount_fen <= goods_fen AND freight_fen >= 0", name="parts"),
        CheckConstraint("refunded_fen >= 0 AND refunded_fen <= total_fen", name="refunded"),
        CheckConstraint("freight_refunded_fen >= 0 AND freight_refunded_fen <= freight_fen", name="freight_refunded"),
        CheckConstraint(
            "state IN ('unpaid', 'closing', 'cancelled', 'paid', 'shipped', 'completed', 'refunded')", name="state"
        ),
        CheckConstraint("state IN ('unpaid', 'closing', 'cancelled') = (paid_at IS NULL)", name="paid"),
        Index(None, "member_id", "id"),
        Index("ix_orders_close_at", "close_at", postgresql_where=text("state IN ('unpaid', 'closing')")),
        Index("ix_orders_awaiting", "member_id", postgresql_where=text("state IN ('unpaid', 'closing')")),
        Index("ix_orders_receive_by", "receive_by", postgresql_where=text("state = 'shipped'")),
        Index(None, "paid_at", postgresql_using="brin"),
        Index(None, "state", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    no: Mapped[str] = mapped_column(unique=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id"))
    channel: Mapped[str]
    source: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """Where it came from: scene, code, campaign, staff, referrer."""
    state: Mapped[str]
    goods_fen: Mapped[int]
    discount_fen: Mapped[int]
    freight_fen: Mapped[int]
    total_fen: Mapped[int]
    refunded_fen: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """Promised or given back."""
    freight_refunded_fen: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    trace: Mapped[list[Any]] = mapped_column(JSONB)
    """How the price came about, step by step."""
    shown_lines: Mapped[str | None] = mapped_column(deferred=True)
    """Its lines as JSON of `OrderLineView`s, for lists; gone as soon as one of them changes (a trigger)."""
    address: Mapped[dict[str, Any]] = mapped_column(JSONB)
    note: Mapped[str]
    pay_by: Mapped[datetime]
    close_at: Mapped[datetime]
    """When the sweep looks next, while it awaits payment: `pay_by` at first."""
    close_reason: Mapped[str | None]
    paid_at: Mapped[datetime | None]
    shipped_at: Mapped[datetime | None]
    receive_by: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    def move(self, to: OrderState) -> None:
        """Raises `OrderMoveRefused` (409). Use `history.move`, which also writes the log."""
        if to not in MOVES[OrderState(self.state)]:
            raise OrderMoveRefused(state=self.state)
        self.state = to


class OrderLine(Table):
    """One SKU of an order, with the titles and prices of that day."""

    __tablename__ = "order_line"
    __table_args__ = (
        CheckConstraint("quantity > 0 AND unit_fen > 0 AND paid_fen >= 0", name="amounts"),
        CheckConstraint("refunded_quantity >= 0 AND refunded_quantity <= quantity", name="refunded_quantity"),
        CheckConstraint("refunded_fen >= 0 AND refunded_fen <= paid_fen", name="refunded_fen"),
        Index("uq_order_line_order_id_sku_id", "order_id", "sku_id", unique=True),
        Index(None, "sku_id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    sku_id: Mapped[int] = mapped_column(ForeignKey("sku.id"))
    product_id: Mapped[int]
    title: Mapped[str]
    options: Mapped[list[str]] = mapped_column(JSONB)
    image: Mapped[str]
    unit_fen: Mapped[int]
    quantity: Mapped[int]
    paid_fen: Mapped[int]
    """This line's share of what is paid for goods."""
    refunded_quantity: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    refunded_fen: Mapped[int] = mapped_column(default=0, server_default=text("0"))


class OrderEvent(Table):
    """The order's log: who moved it where, when and why. Append-only, and without personal values."""

    __tablename__ = "order_event"
    __table_args__ = (Index(None, "order_id", "id"), {"info": {"append_only": True}})

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    what: Mapped[str]
    from_state: Mapped[str | None]
    to_state: Mapped[str]
    by: Mapped[str]
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    at: Mapped[datetime]


class Parcel(Table):
    """A shipment of an order."""

    __tablename__ = "parcel"
    __table_args__ = (Index(None, "order_id"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    carrier: Mapped[str]
    tracking_no: Mapped[str]
    shipped_by: Mapped[str]
    shipped_at: Mapped[datetime]
