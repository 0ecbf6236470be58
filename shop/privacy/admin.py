"""What staff call: erase a member who asked the shop for it."""

from typing import Any

from litestar import Request, post
from litestar.di import NamedDependency

from kit.clock import Clock
from kit.database import Database
from kit.fields import as_id
from kit.web.actor import actor_of, requires
from kit.web.declared import STAFF, declared
from kit.web.parameters import PathId
from shop.members.people import MemberNotFound
from shop.privacy import erasure
from shop.privacy.erasure import StillUnderWay


@post(
    "/members/{member_id:str}/erase",
    operation_id="eraseMember",
    summary="Erase a member: their personal data goes, for good",
    guards=[requires("members.erase")],
    status_code=204,
    responses=declared(*STAFF, MemberNotFound, StillUnderWay),
)
async def erase_member(
    request: Request[Any, Any, Any],
    member_id: PathId,
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> None:
    async with db.begin() as session:
        await erasure.erase(session, as_id(member_id), by=actor_of(request).label, at=clock.now())


ROUTES: list[Any] = [erase_member]
