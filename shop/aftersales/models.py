"""Tables of after-sales."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Table


class AfterSaleState(StrEnum):
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    FAILED = "failed"
    """WeChat closed or refused the refund: what was claimed is free again."""


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
    """The pieces are (or never left) on our shelf and can be sold again."""
    requested_by: Mapped[str]
    requested_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class AfterSaleLine(Table):
    __tablename__ = "after_sale_line"
    __table_args__ = (
        CheckConstraint("quantity > 0 AND amount_fen >= 0", name="amounts"),
        Index(None, "order_line_id"),
    )

    after_sale_id: Mapped[int] = mapped_column(ForeignKey("after_sale.id"), primary_key=True)
    order_line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"), primary_key=True)
    quantity: Mapped[int]
    amount_fen: Mapped[int]
