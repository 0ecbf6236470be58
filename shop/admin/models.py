"""Tables."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Table


class Staff(Table):
    """Someone who works in the shop. Never deleted: the audit log names them."""

    __tablename__ = "staff"
    __table_args__ = (
        CheckConstraint("login = lower(login)", "login_lower"),
        CheckConstraint("role IN ('manager', 'clerk')", "role"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    login: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str]
    """Argon2id, with its parameters."""
    role: Mapped[str]
    disabled: Mapped[bool]
    created_at: Mapped[datetime]


class StaffSession(Table):
    """A signed-in operator. Only the SHA-256 of the token is kept."""

    __tablename__ = "staff_session"
    __table_args__ = (Index(None, "staff_id"), Index(None, "expires_at"))

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class SignInAttempts(Table):
    """Failed sign-ins of one login or one peer address within one window.

    Not columns of `staff`: a login that does not exist must be locked out just like one that does, or the difference
    tells which exist.
    """

    __tablename__ = "sign_in_attempts"
    __table_args__ = (CheckConstraint("failed >= 0", "failed"), Index(None, "window_ends_at"))

    subject: Mapped[str] = mapped_column(primary_key=True)
    """`login:` and its SHA-256 (people type passwords into that field), or `peer:` and the address."""
    failed: Mapped[int]
    window_ends_at: Mapped[datetime]
