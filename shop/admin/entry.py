"""Sign-in of the staff. Whoever guesses learns nothing: an unknown login, a wrong password and a disabled account get
the same answer after the same work, and all of them are locked out alike."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from kit import audit
from kit.database import Database
from kit.errors import SignInNeeded, Unprocessable
from kit.web.actor import Actor
from shop.admin import sessions, staff, throttle
from shop.admin.models import Staff
from shop.admin.passwords import Passwords


class WrongPassword(SignInNeeded):
    """Login or password is wrong."""

    zh = "登录名或密码错误"


class OldPasswordWrong(Unprocessable):
    """The present password is wrong."""

    zh = "原密码错误"


async def sign_in(
    db: Database, passwords: Passwords, *, login: str, password: str, peer: str | None, now: datetime
) -> tuple[str, Staff]:
    """A token and whose it is. No transaction is open while the password is checked.

    Raises `WrongPassword` (401), `TooManyAttempts` (429). `login` is lower case; `peer` is where the client is,
    as our own proxies say, never what a client claims.
    """
    found = await _admit(db, login, peer, now)
    right = await passwords.verify(None if found is None or found.disabled else found.password_hash, password)
    if found is None or not right:
        raise WrongPassword
    async with db.begin() as session:
        # They may have been dismissed, or their password changed, while we were computing.
        still = await staff.get(session, found.id)
        if still.disabled or still.password_hash != found.password_hash:
            raise WrongPassword
        await throttle.give_back(session, login=login, peer=peer)
        token = await sessions.open_one(session, still.id, now)
        await audit.record(
            session, at=now, actor=f"staff:{still.id}", action="staff.sign_in", subject=("staff", still.id)
        )
    return token, still


async def change_password(
    db: Database,
    passwords: Passwords,
    who: Actor,
    *,
    old: str,
    new: str,
    token: str,
    peer: str | None,
    now: datetime,
) -> None:
    """Change one's own password, ending one's sessions save that of `token`. Guesses of `old` count as sign-ins do.

    Raises `OldPasswordWrong` (422), `TooManyAttempts` (429).
    """
    async with db.begin() as session:
        login = (await staff.get(session, who.id)).login
    found = await _admit(db, login, peer, now)
    if found is None or not await passwords.verify(found.password_hash, old):
        raise OldPasswordWrong
    password_hash = await passwords.hash(new)
    async with db.begin() as session:
        # It may have been set anew while we were computing, because somebody else knew this one.
        still = await staff.get(session, who.id)
        if still.password_hash != found.password_hash:
            raise OldPasswordWrong
        await throttle.give_back(session, login=login, peer=peer)
        await staff.set_password(session, who.id, password_hash, by=who, now=now, keep=token)


async def _admit(db: Database, login: str, peer: str | None, now: datetime) -> Staff | None:
    """Count the attempt, committed before anything is looked at. Raises `TooManyAttempts`."""
    async with db.begin() as session:
        admitted = await throttle.count(session, login=login, peer=peer, now=now)
        found = await staff.find_by_login(session, login)
    if not admitted:
        raise throttle.TooManyAttempts
    return found


async def sign_out(session: AsyncSession, token: str, now: datetime) -> None:
    await sessions.end(session, token, now)
