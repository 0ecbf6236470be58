"""Tables."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Table


class FreightTemplate(Table):
    """What sending costs: a first weight, each further weight begun, and what holds in some provinces."""

    __tablename__ = "freight_template"
    __table_args__: Any = (
        CheckConstraint("first_g > 0 AND extra_g > 0", "weights"),
        CheckConstraint("first_fen >= 0 AND extra_fen >= 0 AND free_over_fen >= 0", "prices"),
        Index("uq_freight_template_default", "is_default", unique=True, postgresql_where=text("is_default")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str]
    is_default: Mapped[bool]
    first_g: Mapped[int]
    first_fen: Mapped[int]
    extra_g: Mapped[int]
    extra_fen: Mapped[int]
    free_over_fen: Mapped[int | None]
    regions: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """A `freight.Regions`."""
    updated_at: Mapped[datetime]
