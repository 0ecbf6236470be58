"""Who did what to what, for good: append-only, and without personal values (only references)."""

from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Identity, Index, insert
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Table


class AuditEntry(Table):
    __tablename__ = "audit_entry"
    __table_args__ = (Index(None, "subject_kind", "subject", "id"), {"info": {"append_only": True}})

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    """`staff:7`, `member:12`, `worker`, `wechat`."""
    action: Mapped[str]
    """What was done, as `noun.verb`: `order.ship`."""
    subject_kind: Mapped[str]
    subject: Mapped[str]
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    request_id: Mapped[str | None]


async def record(
    session: AsyncSession,
    *,
    at: datetime,
    actor: str,
    action: str,
    subject: tuple[str, str | int],
    facts: dict[str, Any] | None = None,
) -> None:
    """Append one entry in the caller's transaction. `subject` is its kind and its id or no.

    The request's id is taken from the log's context.
    """
    kind, which = subject
    await session.execute(
        insert(AuditEntry).values(
            at=at,
            actor=actor,
            action=action,
            subject_kind=kind,
            subject=str(which),
            facts=facts or {},
            request_id=structlog.contextvars.get_contextvars().get("request_id"),
        )
    )
