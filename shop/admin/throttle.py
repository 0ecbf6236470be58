"""Bounds on guessing passwords: per login and per peer address, for all processes together.

An attempt is counted before the password is looked at, so that a hundred guesses at once are not all let through, and
given back when it was right. A window is fixed: it begins with the first failure and ends the lock-out too.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import case, delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kit import expiry
from kit.errors import TooMany
from shop.admin.models import SignInAttempts

WINDOW: Final = timedelta(minutes=15)
MAX_PER_LOGIN: Final = 10
MAX_PER_PEER: Final = 50
"""More than one operator may sit behind one address."""


class TooManyAttempts(TooMany):
    """Too many failed sign-ins; wait fifteen minutes."""

    zh = "登录失败次数过多，请 15 分钟后再试"
    retry_after_s = int(WINDOW.total_seconds())


def _login(login: str) -> str:
    return "login:" + hashlib.sha256(login.encode()).hexdigest()


async def count(session: AsyncSession, *, login: str, peer: str | None, now: datetime) -> bool:
    """Count one attempt of `login` and of `peer`; False: one of them is locked out. Commit it in either case."""
    allowed = await _one_more(session, _login(login), now) <= MAX_PER_LOGIN
    if peer is not None:
        allowed = await _one_more(session, f"peer:{peer}", now) <= MAX_PER_PEER and allowed
    return allowed


async def _one_more(session: AsyncSession, subject: str, now: datetime) -> int:
    over = SignInAttempts.window_ends_at <= now
    statement = insert(SignInAttempts).values(subject=subject, failed=1, window_ends_at=now + WINDOW)
    counted = statement.on_conflict_do_update(
        index_elements=["subject"],
        set_={
            "failed": case((over, 1), else_=SignInAttempts.failed + 1),
            "window_ends_at": case((over, now + WINDOW), else_=SignInAttempts.window_ends_at),
        },
    ).returning(SignInAttempts.failed)
    return (await session.execute(counted)).scalar_one()


async def give_back(session: AsyncSession, *, login: str, peer: str | None) -> None:
    """The attempt was right: the login starts anew, the peer's other failures stay."""
    await session.execute(delete(SignInAttempts).where(SignInAttempts.subject == _login(login)))
    peers = (SignInAttempts.subject == f"peer:{peer}") & (SignInAttempts.failed > 0)
    await session.execute(update(SignInAttempts).where(peers).values(failed=SignInAttempts.failed - 1))


async def sweep(session: AsyncSession, now: datetime) -> bool:
    """Drop windows that have ended, so many at a time. Is there more?"""
    return await expiry.drop(session, SignInAttempts.window_ends_at, now)
