"""The people who work in the shop. Who is dismissed is disabled, never deleted; one manager always remains."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kit import audit
from kit.errors import Conflict, NotFound
from kit.web.actor import Actor
from shop.admin import sessions
from shop.admin.models import Staff
from shop.admin.passwords import Passwords, generate
from shop.admin.roles import Role

_FIRST_LOGIN = "admin"
_SEED_KEY = 7_260_126_003


class StaffNotFound(NotFound):
    """There is no such member of staff."""

    zh = "未找到该员工"


class LoginTaken(Conflict):
    """The login {login} is taken."""

    zh = "登录名 {login} 已被使用"


class LastManager(Conflict):
    """This is the last manager; make another one first."""

    zh = "这是最后一位管理员，请先指定另一位"


async def list_all(session: AsyncSession) -> Sequence[Staff]:
    """By id; a shop has dozens at most."""
    return (await session.execute(select(Staff).order_by(Staff.id).limit(500))).scalars().all()


async def get(session: AsyncSession, staff_id: int) -> Staff:
    """Raises `StaffNotFound` (404)."""
    staff = await session.get(Staff, staff_id, with_for_update=True)
    if staff is None:
        raise StaffNotFound
    return staff


async def find_by_login(session: AsyncSession, login: str) -> Staff | None:
    return (await session.execute(select(Staff).where(Staff.login == login))).scalar_one_or_none()


async def add(
    session: AsyncSession, *, login: str, name: str, password_hash: str, role: Role, by: str, now: datetime
) -> Staff:
    """Raises `LoginTaken` (409). `login` is lower case."""
    values = {"login": login, "name": name, "password_hash": password_hash, "role": role.value, "disabled": False}
    statement = (
        insert(Staff).values(**values, created_at=now).on_conflict_do_nothing(index_elements=["login"]).returning(Staff)
    )
    staff = (await session.execute(statement)).scalar_one_or_none()
    if staff is None:
        raise LoginTaken(login=login)
    await audit.record(
        session, at=now, actor=by, action="staff.add", subject=("staff", staff.id), facts={"role": role.value}
    )
    return staff


async def change(
    session: AsyncSession,
    staff_id: int,
    *,
    name: str | None = None,
    role: Role | None = None,
    disabled: bool | None = None,
    by: Actor,
    now: datetime,
) -> Staff:
    """Set what is given. Disabling signs them out. Raises `StaffNotFound` (404), `LastManager` (409)."""
    await _lock_managers(session)
    staff = await get(session, staff_id)
    facts: dict[str, str | bool] = {}
    if name is not None and name != staff.name:
        staff.name, facts["name"] = name, True
    if role is not None and role != staff.role:
        staff.role, facts["role"] = role.value, role.value
    if disabled is not None and disabled != staff.disabled:
        staff.disabled = facts["disabled"] = disabled
    if not facts:
        return staff
    await session.flush()
    await _require_a_manager(session)
    if staff.disabled:
        await sessions.end_all(session, staff_id, now)
    await audit.record(session, at=now, actor=by.label, action="staff.change", subject=("staff", staff_id), facts=facts)
    return staff


async def _lock_managers(session: AsyncSession) -> None:
    """Two managers who dismiss each other at once: the second waits here and then finds itself the last."""
    managers = select(Staff.id).where(Staff.role == Role.MANAGER, Staff.disabled.is_(False))
    await session.execute(managers.order_by(Staff.id).with_for_update())


async def _require_a_manager(session: AsyncSession) -> None:
    left = select(func.count()).select_from(Staff).where(Staff.role == Role.MANAGER, Staff.disabled.is_(False))
    if (await session.execute(left)).scalar_one() == 0:
        raise LastManager


async def set_password(
    session: AsyncSession, staff_id: int, password_hash: str, *, by: Actor, now: datetime, keep: str | None = None
) -> None:
    """Ends all their sessions, save that of the token `keep`. Raises `StaffNotFound` (404)."""
    staff = await get(session, staff_id)
    staff.password_hash = password_hash
    await sessions.end_all(session, staff_id, now, but=keep)
    await audit.record(session, at=now, actor=by.label, action="staff.password", subject=("staff", staff_id))


async def ensure_operator(session: AsyncSession, now: datetime, passwords: Passwords | None = None) -> str | None:
    """The first manager, `admin`, when there is no staff at all: their new password, to be shown once. Else None."""
    await session.execute(select(func.pg_advisory_xact_lock(_SEED_KEY)))
    if (await session.execute(select(exists().select_from(Staff)))).scalar_one():
        return None
    password = generate()
    await add(
        session,
        login=_FIRST_LOGIN,
        name="Admin",
        password_hash=await (passwords or Passwords()).hash(password),
        role=Role.MANAGER,
        by="worker",
        now=now,
    )
    return password
