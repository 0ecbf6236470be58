"""What the Mini Program calls: a copy of my data, and the end of my account."""

from typing import Any

from litestar import Request, delete, get
from litestar.di import NamedDependency

from kit.clock import Clock
from kit.database import Database
from kit.errors import SignInNeeded
from kit.web.declared import declared
from kit.web.limits import Limiter
from shop.members.edge import MEMBER_ONLY, bearer
from shop.members.sessions import Sessions, SignedIn
from shop.privacy import erasure, export
from shop.privacy.erasure import StillUnderWay
from shop.privacy.export import Export, TooMuchToExport

_TAGS = ["members"]


@get(
    "/me/export",
    operation_id="exportMe",
    summary="A copy of everything the shop holds about me",
    tags=_TAGS,
    security=MEMBER_ONLY,
    responses=declared(SignInNeeded, TooMuchToExport),
)
async def export_me(
    member: NamedDependency[SignedIn],
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
    limiter: NamedDependency[Limiter],
) -> Export:
    limiter.export(member.member_id)
    async with db.begin() as session:
        return await export.take(session, member.member_id, clock.now())


@delete(
    "/me",
    operation_id="eraseMe",
    summary="Erase me: my personal data goes, for good",
    tags=_TAGS,
    security=MEMBER_ONLY,
    responses=declared(SignInNeeded, StillUnderWay),
)
async def erase_me(
    request: Request[Any, Any, Any],
    member: NamedDependency[SignedIn],
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
    member_sessions: NamedDependency[Sessions],
) -> None:
    async with db.begin() as session:
        await erasure.erase(session, member.member_id, by=member.label, at=clock.now())
    member_sessions.forget(bearer(request))


ROUTES: list[Any] = [export_me, erase_me]
