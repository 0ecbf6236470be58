"""Reading the audit log, newest first."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.audit import AuditEntry
from kit.paging import Page, decode_cursor, page


async def list_entries(
    session: AsyncSession,
    *,
    subject_kind: str | None = None,
    subject: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    cursor: str | None = None,
    limit: int,
) -> Page[AuditEntry]:
    """Raises `InvalidInput` (400) for a cursor that is none of ours."""
    wanted: list[tuple[Any, str | None]] = [
        (AuditEntry.subject_kind, subject_kind),
        (AuditEntry.subject, subject),
        (AuditEntry.actor, actor),
        (AuditEntry.action, action),
    ]
    statement = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit + 1)
    for column, value in wanted:
        if value is not None:
            statement = statement.where(column == value)
    if cursor is not None:
        (before,) = decode_cursor(cursor, (int,))
        statement = statement.where(AuditEntry.id < before)
    rows = list((await session.execute(statement)).scalars())
    return page(rows, limit, lambda entry: (entry.id,))
