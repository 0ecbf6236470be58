"""Sessions of the staff: 256-bit random reference tokens, stored hashed, looked up at every request.

No memory of look-ups here: operators are few, and a dismissed one is out with the next request.
"""

import hashlib
import re
import secrets
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, LargeBinary, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from kit import expiry
from kit.database import Database, Instant
from kit.errors import SignInNeeded
from kit.statement import Statement
from shop.admin.models import Staff, StaffSession

LIVES: Final = timedelta(hours=12)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def open_one(session: AsyncSession, staff_id: int, now: datetime) -> str:
    """A new session; the token returned is nowhere kept."""
    token = secrets.token_urlsafe(32)
    values = {"token_hash": _hash(token), "staff_id": staff_id, "created_at": now, "expires_at": now + LIVES}
    await session.execute(insert(StaffSession).values(**values))
    return token


class StaffIn(msgspec.Struct, frozen=True):
    """Who of the staff asks."""

    id: int
    name: str
    role: str


_FIND = Statement(
    select(Staff.id, Staff.name, Staff.role)
    .join(StaffSession, StaffSession.staff_id == Staff.id)
    .where(
        StaffSession.token_hash == bindparam("token_hash", type_=LargeBinary),
        StaffSession.revoked_at.is_(None),
        StaffSession.expires_at > bindparam("now", type_=Instant),
        Staff.disabled.is_(False),
    )
)


async def who(db: Database, token: str, now: datetime) -> StaffIn:
    """Whose session it is, while it lives and they are not disabled. Raises `SignInNeeded` (401)."""
    if not _TOKEN.fullmatch(token):
        raise SignInNeeded
    async with db.bare() as connection:
        rows = await _FIND.fetch(connection, token_hash=_hash(token), now=now)
    if not rows:
        raise SignInNeeded
    return StaffIn(*rows[0])


async def end(session: AsyncSession, token: str, now: datetime) -> None:
    """End this session. Harmless when repeated."""
    mine = (StaffSession.token_hash == _hash(token)) & StaffSession.revoked_at.is_(None)
    await _end(session, mine, now)


async def end_all(session: AsyncSession, staff_id: int, now: datetime, *, but: str | None = None) -> None:
    """End every session of this member of staff, save that of the token `but`."""
    live = (StaffSession.staff_id == staff_id) & StaffSession.revoked_at.is_(None)
    if but is not None:
        live &= StaffSession.token_hash != _hash(but)
    await _end(session, live, now)


async def _end(session: AsyncSession, which: ColumnElement[bool], now: datetime) -> None:
    """What is ended expires with it, so that the sweep finds both by one index."""
    await session.execute(update(StaffSession).where(which).values(revoked_at=now, expires_at=now))


async def sweep(session: AsyncSession, now: datetime) -> bool:
    """Drop sessions that have ended, so many at a time. Is there more?"""
    return await expiry.drop(session, StaffSession.expires_at, now)
