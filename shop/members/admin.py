"""What staff call: look a member up, shut them out, let them in again."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency

from kit import audit
from kit.clock import Clock
from kit.database import Database
from kit.fields import Id, as_id
from kit.web.actor import actor_of, requires
from kit.web.declared import STAFF, declared
from kit.web.parameters import PathId
from shop.members import people, schemas
from shop.members.models import Member, MemberStatus
from shop.members.people import MemberErased, MemberNotFound


class MemberForStaff(msgspec.Struct, rename="camel"):
    """`phone` shows only its last four digits; None: not bound."""

    id: Id
    nickname: str
    avatar_url: str
    phone: str | None
    status: MemberStatus
    created_at: datetime


def _view(member: Member) -> MemberForStaff:
    phone = schemas.masked(member.phone)
    status = MemberStatus(member.status)
    return MemberForStaff(str(member.id), member.nickname, member.avatar_url, phone, status, member.created_at)


@get(
    "/members/{member_id:str}",
    operation_id="getMember",
    summary="One member",
    guards=[requires("members.read")],
    responses=declared(*STAFF, MemberNotFound),
)
async def get_member(member_id: PathId, db: NamedDependency[Database]) -> MemberForStaff:
    async with db.begin() as session:
        member = await people.get(session, as_id(member_id))
    return _view(member)


@post(
    "/members/{member_id:str}/disable",
    operation_id="disableMember",
    summary="Shut a member out: all their sessions end",
    guards=[requires("members.write")],
    status_code=200,
    responses=declared(*STAFF, MemberNotFound, MemberErased),
)
async def disable_member(
    request: Request[Any, Any, Any],
    member_id: PathId,
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> MemberForStaff:
    now, by, which = clock.now(), actor_of(request).label, as_id(member_id)
    async with db.begin() as session:
        member = await people.disable(session, which, now)
        await audit.record(session, at=now, actor=by, action="member.disable", subject=("member", which))
    return _view(member)


@post(
    "/members/{member_id:str}/enable",
    operation_id="enableMember",
    summary="Let a member sign in again",
    guards=[requires("members.write")],
    status_code=200,
    responses=declared(*STAFF, MemberNotFound, MemberErased),
)
async def enable_member(
    request: Request[Any, Any, Any],
    member_id: PathId,
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> MemberForStaff:
    now, by, which = clock.now(), actor_of(request).label, as_id(member_id)
    async with db.begin() as session:
        member = await people.enable(session, which)
        await audit.record(session, at=now, actor=by, action="member.enable", subject=("member", which))
    return _view(member)


ROUTES: list[Any] = [get_member, disable_member, enable_member]
