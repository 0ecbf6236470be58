"""Who is signed in: 256-bit random reference tokens, stored hashed, ended within a second everywhere.

A signed token (JWT) would need no look-up, but could not be ended, and its secret could leak.
"""

import hashlib
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from kit.clock import Clock
from kit.database import Database
from kit.errors import SignInNeeded
from shop.members.models import Member, MemberIdentity, MemberSession, MemberStatus

LIVES: Final = timedelta(days=30)
MAX_PER_MEMBER: Final = 20
"""Live sessions of one member; the oldest give way, so that signing in in a loop fills no table."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class SignedIn(msgspec.Struct, frozen=True):
    """The member who asks, and the identity by which they came (payments need its openid)."""

    member_id: int
    identity_id: int
    appid: str
    openid: str

    @property
    def label(self) -> str:
        """For logs, audit and idempotency: `member:12`."""
        return f"member:{self.member_id}"


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def open_one(session: AsyncSession, *, member_id: int, identity_id: int, now: datetime) -> str:
    """A new session; the token returned is nowhere kept."""
    token = secrets.token_urlsafe(32)
    await session.execute(
        insert(MemberSession).values(
            token_hash=_hash(token),
            member_id=member_id,
            identity_id=identity_id,
            created_at=now,
            expires_at=now + LIVES,
        )
    )
    surplus = (
        select(MemberSession.token_hash)
        .where(MemberSession.member_id == member_id)
        .order_by(MemberSession.created_at.desc(), MemberSession.token_hash)
        .offset(MAX_PER_MEMBER)
    )
    await session.execute(delete(MemberSession).where(MemberSession.token_hash.in_(surplus)))
    return token


async def end(session: AsyncSession, token: str, now: datetime) -> None:
    """End this session. Harmless when repeated."""
    mine = (MemberSession.token_hash == _hash(token)) & MemberSession.revoked_at.is_(None)
    await session.execute(update(MemberSession).where(mine).values(revoked_at=now))


async def sweep(session: AsyncSession, now: datetime) -> None:
    """Drop sessions that have ended."""
    over = or_(MemberSession.expires_at <= now, MemberSession.revoked_at.is_not(None))
    await session.execute(delete(MemberSession).where(over))


async def find(session: AsyncSession, token: str, now: datetime) -> tuple[SignedIn, datetime] | None:
    """Whose token it is and until when, while it is good and its member is not disabled."""
    statement = (
        select(
            MemberSession.member_id,
            MemberSession.identity_id,
            MemberIdentity.appid,
            MemberIdentity.openid,
            MemberSession.expires_at,
        )
        .join(MemberIdentity, MemberIdentity.id == MemberSession.identity_id)
        .join(Member, Member.id == MemberSession.member_id)
        .where(
            MemberSession.token_hash == _hash(token),
            MemberSession.revoked_at.is_(None),
            MemberSession.expires_at > now,
            Member.status == MemberStatus.ACTIVE,
        )
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None
    return SignedIn(row.member_id, row.identity_id, row.appid, row.openid), row.expires_at


class Sessions:
    """Looks tokens up, with a memory of at most `memory_s` seconds and `size` tokens per process.

    The memory is what makes a burst of requests of one page cost one look-up; it is so short that an ended session or a
    disabled member is out everywhere within a second. Refusals are not remembered.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        *,
        memory_s: float = 1.0,
        size: int = 4096,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._clock = clock
        self._memory_s = memory_s
        self._size = size
        self._monotonic = monotonic
        self._known: OrderedDict[bytes, tuple[float, SignedIn, datetime]] = OrderedDict()

    async def who(self, token: str) -> SignedIn:
        """The member behind `token`. Raises `SignInNeeded` (401)."""
        if not _TOKEN.fullmatch(token):
            raise SignInNeeded
        key = _hash(token)
        now = self._clock.now()
        known = self._known.get(key)
        if known is not None and known[0] > self._monotonic() and known[2] > now:
            return known[1]
        asked_at = self._monotonic()  # before the look-up: what it finds may be older than its answer
        async with self._db.begin() as session:
            found = await find(session, token, now)
        if found is None:
            self._known.pop(key, None)
            raise SignInNeeded
        self._remember(key, asked_at, *found)
        return found[0]

    def _remember(self, key: bytes, asked_at: float, signed_in: SignedIn, expires_at: datetime) -> None:
        self._known[key] = (asked_at + self._memory_s, signed_in, expires_at)
        self._known.move_to_end(key)
        while len(self._known) > self._size:
            self._known.popitem(last=False)

    def forget(self, token: str) -> None:
        """This process sees the end of a session at once."""
        self._known.pop(_hash(token), None)
