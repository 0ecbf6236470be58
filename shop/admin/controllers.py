"""What staff call about themselves, each other, and what was done. `shop.admin.router` mounts it."""

from typing import Annotated, Any, Final

from litestar import Request, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET

from kit.clock import Clock
from kit.database import Database
from kit.errors import InvalidInput, SignInNeeded
from kit.fields import as_id
from kit.paging import Page
from kit.web.actor import NotPermitted, actor_of, requires
from kit.web.declared import BODY, declared
from kit.web.parameters import PathId, QueryCursor, QueryLimit
from kit.web.peer import Peers
from shop.admin import auditing, entry, schemas, sessions, staff
from shop.admin.entry import OldPasswordWrong, WrongPassword
from shop.admin.passwords import Passwords
from shop.admin.schemas import (
    AuditEntryView,
    NewStaffBody,
    PasswordChangeBody,
    PasswordResetBody,
    StaffBody,
    StaffList,
    StaffMe,
    StaffSignInBody,
    StaffSignInView,
    StaffView,
)
from shop.admin.staff import LastManager, LoginTaken, StaffNotFound
from shop.admin.throttle import TooManyAttempts
from shop.members.edge import bearer

_MANAGE: Final = [requires("staff.manage")]
_FILTER = r"^[\w.:-]{1,64}$(?!\n)"


@post(
    "/sign-in",
    operation_id="staffSignIn",
    summary="Exchange login and password for an access token",
    security=[{}],
    status_code=200,
    responses=declared(*BODY, WrongPassword, TooManyAttempts),
)
async def sign_in(
    request: Request[Any, Any, Any],
    data: JSONBody[StaffSignInBody],
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
    passwords: NamedDependency[Passwords],
    peers: NamedDependency[Peers],
) -> StaffSignInView:
    peer = peers.network(request.scope)
    token, who = await entry.sign_in(
        db, passwords, login=data.login.lower(), password=data.password, peer=peer, now=clock.now()
    )
    lives_s = int(sessions.LIVES.total_seconds())
    return StaffSignInView(access_token=token, expires_in=lives_s, staff=schemas.me_view(who))


@post(
    "/sign-out",
    operation_id="staffSignOut",
    summary="End this session",
    status_code=204,
    responses=declared(SignInNeeded),
)
async def sign_out(
    request: Request[Any, Any, Any], db: NamedDependency[Database], clock: NamedDependency[Clock]
) -> None:
    async with db.begin() as session:
        await entry.sign_out(session, bearer(request), clock.now())


@get(
    "/me",
    operation_id="getStaffMe",
    summary="Who is signed in, and what they may do",
    responses=declared(SignInNeeded),
)
async def get_me(request: Request[Any, Any, Any], db: NamedDependency[Database]) -> StaffMe:
    async with db.begin() as session:
        who = await staff.get(session, actor_of(request).id)
    return schemas.me_view(who)


@post(
    "/me/password",
    operation_id="changeOwnPassword",
    summary="Change one's own password; ends one's other sessions",
    status_code=204,
    responses=declared(*BODY, SignInNeeded, OldPasswordWrong, TooManyAttempts),
)
async def change_own_password(
    request: Request[Any, Any, Any],
    data: JSONBody[PasswordChangeBody],
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
    passwords: NamedDependency[Passwords],
    peers: NamedDependency[Peers],
) -> None:
    await entry.change_password(
        db,
        passwords,
        actor_of(request),
        old=data.password,
        new=data.new_password,
        token=bearer(request),
        peer=peers.network(request.scope),
        now=clock.now(),
    )


@get(
    "/staff",
    operation_id="listStaff",
    summary="Everyone on the staff",
    guards=_MANAGE,
    responses=declared(SignInNeeded, NotPermitted),
)
async def list_staff(db: NamedDependency[Database]) -> StaffList:
    async with db.begin() as session:
        found = await staff.list_all(session)
    return StaffList(items=[schemas.staff_view(who) for who in found])


@post(
    "/staff",
    operation_id="addStaff",
    summary="Add a member of staff",
    guards=_MANAGE,
    responses=declared(*BODY, SignInNeeded, NotPermitted, LoginTaken),
)
async def add_staff(
    request: Request[Any, Any, Any],
    data: JSONBody[NewStaffBody],
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
    passwords: NamedDependency[Passwords],
) -> StaffView:
    password_hash = await passwords.hash(data.password)
    async with db.begin() as session:
        who = await staff.add(
            session,
            login=data.login,
            name=data.name,
            password_hash=password_hash,
            role=data.role,
            by=actor_of(request).label,
            now=clock.now(),
        )
    return schemas.staff_view(who)


@put(
    "/staff/{staff_id:str}",
    operation_id="updateStaff",
    summary="Change name or role, disable or enable",
    guards=_MANAGE,
    responses=declared(*BODY, SignInNeeded, NotPermitted, StaffNotFound, LastManager),
)
async def update_staff(
    request: Request[Any, Any, Any],
    staff_id: PathId,
    data: JSONBody[StaffBody],
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> StaffView:
    async with db.begin() as session:
        who = await staff.change(
            session,
            as_id(staff_id),
            name=None if data.name is UNSET else data.name,
            role=None if data.role is UNSET else data.role,
            disabled=None if data.disabled is UNSET else data.disabled,
            by=actor_of(request),
            now=clock.now(),
        )
    return schemas.staff_view(who)


@put(
    "/staff/{staff_id:str}/password",
    operation_id="resetStaffPassword",
    summary="Set someone's password; ends all their sessions",
    guards=_MANAGE,
    status_code=204,
    responses=declared(*BODY, SignInNeeded, NotPermitted, StaffNotFound),
)
async def reset_staff_password(
    request: Request[Any, Any, Any],
    staff_id: PathId,
    data: JSONBody[PasswordResetBody],
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
    passwords: NamedDependency[Passwords],
) -> None:
    password_hash = await passwords.hash(data.new_password)
    async with db.begin() as session:
        await staff.set_password(session, as_id(staff_id), password_hash, by=actor_of(request), now=clock.now())


@get(
    "/audit",
    operation_id="listAudit",
    summary="Who did what to what, newest first",
    guards=[requires("audit.read")],
    responses=declared(InvalidInput, SignInNeeded, NotPermitted),
)
async def list_audit(
    db: NamedDependency[Database],
    subject_kind: Annotated[str | None, QueryParameter(name="subjectKind", pattern=_FILTER)] = None,
    subject: Annotated[str | None, QueryParameter(pattern=_FILTER)] = None,
    actor: Annotated[str | None, QueryParameter(pattern=_FILTER)] = None,
    action: Annotated[str | None, QueryParameter(pattern=_FILTER)] = None,
    cursor: QueryCursor = None,
    limit: QueryLimit = 50,
) -> Page[AuditEntryView]:
    async with db.begin() as session:
        found = await auditing.list_entries(
            session,
            subject_kind=subject_kind,
            subject=subject,
            actor=actor,
            action=action,
            cursor=cursor,
            limit=limit,
        )
    return schemas.audit_page(found)


OWN_ROUTES: Final[list[Any]] = [sign_out, get_me, change_own_password]
ROUTES: Final[list[Any]] = [*OWN_ROUTES, list_staff, add_staff, update_staff, reset_staff_password, list_audit]
