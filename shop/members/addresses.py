"""Where a member has things sent. The owner stands in every WHERE: somebody else's address does not exist."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from kit.errors import NotFound, Unprocessable
from shop.members import people
from shop.members.models import Address

MAX_PER_MEMBER: Final = 20


class AddressNotFound(NotFound):
    """There is no such address."""

    zh = "未找到该地址"


class TooManyAddresses(Unprocessable):
    """A member may keep {limit} addresses; delete one first."""

    zh = "最多保存 {limit} 个地址，请先删除一个"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What an address says. Codes are those of the administrative divisions, where the client knows them."""

    name: str
    phone: str
    province: str
    city: str
    district: str
    province_code: str | None
    city_code: str | None
    district_code: str | None
    detail: str
    tag: str
    is_default: bool


async def list_all(session: AsyncSession, member_id: int) -> Sequence[Address]:
    """The default first, then the newest."""
    statement = (
        select(Address).where(Address.member_id == member_id).order_by(Address.is_default.desc(), Address.id.desc())
    )
    return (await session.execute(statement)).scalars().all()


async def get(session: AsyncSession, member_id: int, address_id: int) -> Address:
    """Raises `AddressNotFound` (404), also for somebody else's."""
    statement = select(Address).where(Address.id == address_id, Address.member_id == member_id)
    address = (await session.execute(statement)).scalar_one_or_none()
    if address is None:
        raise AddressNotFound
    return address


async def find_default(session: AsyncSession, member_id: int) -> Address | None:
    """What checkout proposes: the default, else the newest."""
    return next(iter(await list_all(session, member_id)), None)


async def add(session: AsyncSession, member_id: int, place: Place, now: datetime) -> Address:
    """The first one becomes the default. Raises `TooManyAddresses` (422), `SignInNeeded` (401)."""
    await people.lock(session, member_id)
    counted = select(func.count()).select_from(Address).where(Address.member_id == member_id)
    present = (await session.execute(counted)).scalar_one()
    if present >= MAX_PER_MEMBER:
        raise TooManyAddresses(limit=MAX_PER_MEMBER)
    facts = msgspec.structs.asdict(place)
    address = Address(member_id=member_id, created_at=now, **facts)
    address.is_default = place.is_default or present == 0
    await _only_default(session, member_id, address)
    session.add(address)
    await session.flush()
    return address


async def change(session: AsyncSession, member_id: int, address_id: int, place: Place) -> Address:
    """Replace all of it. Raises `AddressNotFound` (404), `SignInNeeded` (401)."""
    await people.lock(session, member_id)
    address = await get(session, member_id, address_id)
    with session.no_autoflush:
        for name, value in msgspec.structs.asdict(place).items():
            setattr(address, name, value)
        await _only_default(session, member_id, address)
    await session.flush()
    return address


async def _only_default(session: AsyncSession, member_id: int, address: Address) -> None:
    """Take the mark from the others first: at most one default is a unique index."""
    if address.is_default:
        others = (Address.member_id == member_id) & Address.is_default & Address.id.is_distinct_from(address.id)
        await session.execute(
            update(Address).where(others).values(is_default=False).execution_options(synchronize_session=False)
        )


async def remove(session: AsyncSession, member_id: int, address_id: int) -> None:
    """Raises `AddressNotFound` (404)."""
    mine = (Address.id == address_id) & (Address.member_id == member_id)
    if (await session.execute(delete(Address).where(mine).returning(Address.id))).first() is None:
        raise AddressNotFound
