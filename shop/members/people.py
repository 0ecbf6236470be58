"""Members: who they are, and how an identity of WeChat's finds or founds one."""

import hashlib
from datetime import datetime

from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from kit.errors import Conflict, NotFound, SignInNeeded
from shop.members import sessions
from shop.members.models import Member, MemberIdentity, MemberStatus


class MemberNotFound(NotFound):
    """There is no such member."""

    zh = "未找到该会员"


class MemberDisabled(SignInNeeded):
    """This account has been disabled by the shop."""

    zh = "该账号已被商家停用"


class MemberErased(Conflict):
    """This member was erased, for good."""

    zh = "该会员已注销"


async def sign_in(
    session: AsyncSession, *, appid: str, openid: str, unionid: str | None, now: datetime
) -> tuple[str, Member, bool]:
    """A token for the person behind this identity, the member, and whether the member is new.

    A new identity with a unionid that is known joins the member who has it; an identity that learns its unionid later
    only notes it, since its own member may have orders by then. Raises `MemberDisabled` (401).
    """
    identity = await _find_identity(session, appid, openid)
    is_new = False
    if identity is None:
        await _one_at_a_time(session, appid, openid, unionid)
        identity = await _find_identity(session, appid, openid)
    if identity is None:
        identity, is_new = await _found(session, appid, openid, unionid, now)
    elif unionid is not None and identity.unionid != unionid:
        identity.unionid = unionid
    member = await get(session, identity.member_id)
    if member.status != MemberStatus.ACTIVE:
        raise MemberDisabled
    await session.flush()
    token = await sessions.open_one(session, member_id=member.id, identity_id=identity.id, now=now)
    return token, member, is_new


async def _find_identity(session: AsyncSession, appid: str, openid: str) -> MemberIdentity | None:
    """Held until the end, so that its member is not erased meanwhile."""
    mine = (MemberIdentity.appid == appid) & (MemberIdentity.openid == openid)
    statement = select(MemberIdentity).where(mine).with_for_update(read=True, key_share=True)
    return (await session.execute(statement)).scalar_one_or_none()


async def _one_at_a_time(session: AsyncSession, appid: str, openid: str, unionid: str | None) -> None:
    """Two first sign-ins at once must find one member. The unique (appid, openid) alone would not hold for a unionid
    that comes through two Mini Programs; always in this order, so that nobody waits in a circle."""
    for name in filter(None, (f"openid:{appid}:{openid}", unionid and f"unionid:{unionid}")):
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


async def _found(
    session: AsyncSession, appid: str, openid: str, unionid: str | None, now: datetime
) -> tuple[MemberIdentity, bool]:
    """The new identity, and whether its member is new too."""
    joined: int | None = None
    if unionid is not None:
        same = select(func.min(MemberIdentity.member_id)).where(MemberIdentity.unionid == unionid)
        joined = (await session.execute(same)).scalar_one()
    member_id = joined
    if member_id is None:
        made = insert(Member).values(created_at=now).returning(Member.id)
        member_id = (await session.execute(made)).scalar_one()
    identity = MemberIdentity(
        member_id=member_id,
        appid=appid,
        openid=openid,
        unionid=unionid,
        joined_by=unionid if joined is not None else None,
        created_at=now,
    )
    session.add(identity)
    await session.flush()
    return identity, joined is None


async def get(session: AsyncSession, member_id: int) -> Member:
    """Raises `MemberNotFound` (404)."""
    member = await session.get(Member, member_id)
    if member is None:
        raise MemberNotFound
    return member


async def lock(session: AsyncSession, member_id: int) -> None:
    """Let this member's own writes (addresses, cart) come one after the other; what only refers to the member goes on.

    Raises `SignInNeeded` (401): they were erased while this waited, and nothing of theirs is to be kept any more.
    """
    statement = select(Member.status).where(Member.id == member_id).with_for_update(key_share=True)
    if await session.scalar(statement) == MemberStatus.ERASED:
        raise SignInNeeded


async def describe(session: AsyncSession, member_id: int, *, nickname: str | None, avatar_url: str | None) -> Member:
    """Set what is given; an empty text takes it away. Raises `SignInNeeded` (401)."""
    member = await _signed_in(session, member_id)
    if nickname is not None:
        member.nickname = nickname
    if avatar_url is not None:
        member.avatar_url = avatar_url
    return member


async def set_phone(session: AsyncSession, member_id: int, phone: str) -> Member:
    """Raises `SignInNeeded` (401)."""
    member = await _signed_in(session, member_id)
    member.phone = phone
    return member


async def _signed_in(session: AsyncSession, member_id: int) -> Member:
    """Who asked, held until the end. Raises `SignInNeeded` (401): they were erased since, from another device."""
    try:
        return await _not_erased(session, member_id)
    except MemberErased as error:
        raise SignInNeeded from error


async def disable(session: AsyncSession, member_id: int, now: datetime) -> Member:
    """The member is signed out everywhere and cannot come back. Raises `MemberNotFound`, `MemberErased`."""
    member = await _not_erased(session, member_id)
    member.status = MemberStatus.DISABLED
    await sessions.end_all(session, member_id, now)
    return member


async def enable(session: AsyncSession, member_id: int) -> Member:
    """The member may sign in again. Raises `MemberNotFound`, `MemberErased`."""
    member = await _not_erased(session, member_id)
    member.status = MemberStatus.ACTIVE
    return member


async def _not_erased(session: AsyncSession, member_id: int) -> Member:
    member = (
        await session.execute(select(Member).where(Member.id == member_id).with_for_update(key_share=True))
    ).scalar_one_or_none()
    if member is None:
        raise MemberNotFound
    if member.status == MemberStatus.ERASED:
        raise MemberErased
    return member
