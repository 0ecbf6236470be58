"""Tables."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Table


class AccessToken(Table):
    """One row per account, shared by all processes: WeChat gives one token, and two that fetch it apart get in each
    other's way."""

    __tablename__ = "access_token"
    __table_args__ = (CheckConstraint("generation >= 0", "generation"),)

    appid: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[str | None]
    expires_at: Mapped[datetime | None]
    fetched_at: Mapped[datetime | None]
    generation: Mapped[int] = mapped_column(server_default="0")
    """Grows with each token stored, so that a slow fetch never overwrites a later one."""
    claimed_until: Mapped[datetime | None]
    """Until then one process is fetching; the others wait or use the present token."""
