"""Tables of after-sales."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Table


class AfterSaleState(StrEnum):
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    FAILED = "failed"
    """WeChat closed or refused the refund, or a second person rejected it: what was claimed is free again."""


class AfterSale(Table):
    """Goods or freight given up, and the money for them going back."""

    __tablename__ = "after_sale"
    __table_args__ = (
        CheckConstraint("amount_fen > 0 AND freight_fen >= 0 AND freight_fen <= amount_fen", name="amounts"),
        Index(None, "order_id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    no: Mapped[str] = mapped_column(unique=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    state: Mapped[str]
    amount_fen: Mapped[int]
    freight_fen: Mapped[int]
    """The part of `amount_fen` that is freight."""
    reason: Mapped[str]
    restock: Mapped[bool]
    """The pieces are (or never left) on our shelf and are to be sold again."""
    requested_by: Mapped[str]
    requested_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class AfterSaleLine(Table):
    __tablename__ = "after_sale_line"
    __table_args__ = (
        CheckConstraint("quantity >= 0 AND amount_fen >= 0 AND quantity + amount_fen > 0", name="amounts"),
        CheckConstraint("restocked >= 0 AND restocked <= quantity", name="restocked"),
        Index(None, "order_line_id"),
    )

    after_sale_id: Mapped[int] = mapped_column(ForeignKey("after_sale.id"), primary_key=True)
    order_line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"), primary_key=True)
    quantity: Mapped[int]
    """Pieces given up; none when only money goes back."""
    amount_fen: Mapped[int]
    restocked: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """Pieces of these that are on sale again because of it."""
