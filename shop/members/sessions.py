"""Who is signed in: 256-bit random reference tokens, stored hashed, ended within a second everywhere.

A signed token (JWT) would need no look-up, but could not be ended, and its secret could leak.
"""

import hashlib
import re
import secrets
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, LargeBinary, any_, bindparam, delete, insert, literal_column, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from kit import expiry
from kit.clock import Clock
from kit.database import Database
from kit.errors import SignInNeeded
from kit.gathering import Gathering
from kit.memory import Memory
from kit.news import News
from kit.statement import Statement
from shop.members.models import Member, MemberIdentity, MemberSession, MemberStatus

LIVES: Final = timedelta(days=30)
MAX_PER_MEMBER: Final = 20
"""Live sessions of one member; the oldest give way, so that signing in in a loop fills no table."""
_REMEMBERED_S: Final = 600.0
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class SignedIn(msgspec.Struct, frozen=True, gc=False):
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
    await _end(session, mine, now)


async def end_all(session: AsyncSession, member_id: int, now: datetime) -> None:
    """End every session of this member."""
    await _end(session, (MemberSession.member_id == member_id) & MemberSession.revoked_at.is_(None), now)


async def _end(session: AsyncSession, which: ColumnElement[bool], now: datetime) -> None:
    """What is ended expires with it, so that the sweep finds both by one index."""
    await session.execute(update(MemberSession).where(which).values(revoked_at=now, expires_at=now))


async def sweep(session: AsyncSession, now: datetime) -> bool:
    """Drop sessions that have ended, so many at a time. Is there more?"""
    return await expiry.drop(session, MemberSession.expires_at, now)


_FIND = Statement(
    select(
        MemberSession.token_hash,
        MemberSession.member_id,
        MemberSession.identity_id,
        MemberIdentity.appid,
        MemberIdentity.openid,
        MemberSession.expires_at,
    )
    .join(MemberIdentity, MemberIdentity.id == MemberSession.identity_id)
    .join(Member, Member.id == MemberSession.member_id)
    .where(
        MemberSession.token_hash == any_(bindparam("hashes", type_=ARRAY(LargeBinary))),
        MemberSession.revoked_at.is_(None),
        Member.status == literal_column(f"'{MemberStatus.ACTIVE}'"),
    )
)


def _signed_in(member_id: int, identity_id: int, appid: str, openid: str) -> SignedIn:
    return SignedIn(member_id, identity_id, sys.intern(appid), openid)  # of very few apps


class Sessions:
    """Looks tokens up, with a memory of `size` tokens per process (half a KiB each) that ends with the news of its end.

    So an ended session or a disabled member is out everywhere at once, and within a second where no news comes.
    Refusals are not remembered; what many ask at once is one look-up.
    """

    def __init__(self, db: Database, clock: Clock, news: News, *, size: int = 32_768) -> None:
        self._db = db
        self._clock = clock
        self._known: Memory[bytes, tuple[SignedIn, datetime]] = Memory(news, size=size, lives_s=_REMEMBERED_S)
        self._reads: Gathering[bytes, tuple[SignedIn, datetime]] = Gathering(self._read)
        news.on("session", self._ended)
        news.on("member", lambda _member_id: self._known.forget_all())

    async def who(self, token: str) -> SignedIn:
        """The member behind `token`. Raises `SignInNeeded` (401)."""
        if not _TOKEN.fullmatch(token):
            raise SignInNeeded
        key = _hash(token)
        known = self._known.find(key)
        if known is None:
            reading = self._known.reading()
            known = await self._reads.get(key)
            if known is not None:
                self._known.keep(key, known, reading)
        if known is None or known[1] <= self._clock.now():
            raise SignInNeeded
        return known[0]

    def forget(self, token: str) -> None:
        """This process sees the end of a session at once."""
        self._known.forget(_hash(token))

    async def _read(self, hashes: Sequence[bytes]) -> dict[bytes, tuple[SignedIn, datetime]]:
        """Whose tokens they are and until when, while their members are not disabled."""
        async with self._db.bare() as connection:
            rows = await _FIND.fetch(connection, hashes=list(hashes))
        return {row[0]: (_signed_in(*row[1:5]), row["expires_at"]) for row in rows}

    def _ended(self, token_hash: str | None) -> None:
        if token_hash is None:
            self._known.forget_all()
        else:
            self._known.forget(bytes.fromhex(token_hash.removeprefix("\\x")))
