"""Tables."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Table


class MemberStatus(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"
    ERASED = "erased"
    """Nobody any more: a row for what refers to it."""


class Member(Table):
    """One person, however many Mini Programs they come from."""

    __tablename__ = "member"
    __table_args__ = (
        CheckConstraint("status IN ('active', 'disabled', 'erased')", "status"),
        CheckConstraint("status <> 'erased' OR nickname = '' AND avatar_url = '' AND phone IS NULL", "erased"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    nickname: Mapped[str] = mapped_column(server_default="")
    avatar_url: Mapped[str] = mapped_column(server_default="")
    phone: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default=MemberStatus.ACTIVE)
    created_at: Mapped[datetime]


class MemberIdentity(Table):
    """Who WeChat says it is: an openid in one Mini Program. `unionid` joins several to one member."""

    __tablename__ = "identity"
    __table_args__: Any = (
        UniqueConstraint("appid", "openid"),
        Index(None, "unionid", postgresql_where=text("unionid IS NOT NULL")),
        Index(None, "member_id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id"))
    appid: Mapped[str]
    openid: Mapped[str]
    unionid: Mapped[str | None]
    joined_by: Mapped[str | None]
    """The unionid for whose sake it was given to a member that was there before; NULL: it founded its member. So a
    join can be told from a founding, and undone."""
    created_at: Mapped[datetime]


class MemberSession(Table):
    """A signed-in client. Only the SHA-256 of its token is kept."""

    __tablename__ = "member_session"
    __table_args__ = (Index(None, "member_id", "created_at"), Index(None, "expires_at"))

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id"))
    identity_id: Mapped[int] = mapped_column(ForeignKey("identity.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class Address(Table):
    """Where a member has things sent. Orders keep their own copy."""

    __tablename__ = "address"
    __table_args__: Any = (
        Index(None, "member_id", "id"),
        Index("uq_address_member_id_default", "member_id", unique=True, postgresql_where=text("is_default")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id"))
    name: Mapped[str]
    phone: Mapped[str]
    province: Mapped[str]
    city: Mapped[str]
    district: Mapped[str]
    province_code: Mapped[str | None]
    city_code: Mapped[str | None]
    district_code: Mapped[str | None]
    detail: Mapped[str]
    tag: Mapped[str]
    is_default: Mapped[bool]
    created_at: Mapped[datetime]
