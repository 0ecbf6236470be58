"""Tables."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Table


class CartLine(Table):
    """One SKU in a member's cart. Prices are not kept: they are today's."""

    __tablename__ = "cart_line"
    __table_args__ = (CheckConstraint("quantity BETWEEN 1 AND 999", "quantity"), Index(None, "sku_id"))

    member_id: Mapped[int] = mapped_column(ForeignKey("member.id"), primary_key=True)
    sku_id: Mapped[int] = mapped_column(ForeignKey("sku.id"), primary_key=True)
    quantity: Mapped[int]
    selected: Mapped[bool]
    added_at: Mapped[datetime]
