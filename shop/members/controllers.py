"""What the Mini Program calls: sign-in, the member, the member's addresses."""

from typing import Any

from litestar import Request, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import UNSET

from kit.clock import Clock
from kit.database import Database
from kit.errors import InvalidInput, SignInNeeded
from kit.fields import as_id
from kit.web.declared import BODY, declared
from kit.web.parameters import PathId
from shop.members import addresses, people, schemas, sessions
from shop.members.addresses import AddressNotFound, TooManyAddresses
from shop.members.edge import MEMBER_ONLY, bearer
from shop.members.people import MemberDisabled
from shop.members.schemas import (
    AddressBody,
    Addresses,
    AddressView,
    MemberView,
    PhoneBody,
    ProfileBody,
    SignInBody,
    SignInView,
)
from shop.members.sessions import Sessions, SignedIn
from wechat.answers import (
    AccountBlocked,
    CodeInvalid,
    CodeUsed,
    PhoneCodeInvalid,
    WeChatBusy,
    WeChatUnavailable,
)
from wechat.platform import Platform

_TAGS = ["members"]


@post(
    "/sign-in",
    operation_id="signIn",
    summary="Exchange a wx.login code for an access token",
    tags=_TAGS,
    security=[{}],
    status_code=200,
    responses=declared(*BODY, CodeInvalid, CodeUsed, MemberDisabled, AccountBlocked, WeChatBusy, WeChatUnavailable),
)
async def sign_in(
    data: JSONBody[SignInBody],
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
    platform: NamedDependency[Platform],
) -> SignInView:
    who = await platform.code_to_session(data.code)
    async with db.begin() as session:
        token, member, is_new = await people.sign_in(
            session, appid=platform.app_id, openid=who.openid, unionid=who.unionid, now=clock.now()
        )
    return schemas.sign_in_view(token, int(sessions.LIVES.total_seconds()), member, is_new=is_new)


@post(
    "/sign-out",
    operation_id="signOut",
    summary="End this session",
    tags=_TAGS,
    security=MEMBER_ONLY,
    status_code=204,
    responses=declared(SignInNeeded),
)
async def sign_out(
    request: Request[Any, Any, Any],
    member: NamedDependency[SignedIn],
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
    member_sessions: NamedDependency[Sessions],
) -> None:
    token = bearer(request)
    async with db.begin() as session:
        await sessions.end(session, token, clock.now())
    member_sessions.forget(token)


@get(
    "/me",
    operation_id="getMe",
    summary="The signed-in member",
    tags=_TAGS,
    security=MEMBER_ONLY,
    responses=declared(SignInNeeded),
)
async def get_me(member: NamedDependency[SignedIn], db: NamedDependency[Database]) -> MemberView:
    async with db.begin() as session:
        found = await people.get(session, member.member_id)
    return schemas.member_view(found)


@put(
    "/me",
    operation_id="updateMe",
    summary="Set nickname and avatar",
    tags=_TAGS,
    security=MEMBER_ONLY,
    responses=declared(*BODY, SignInNeeded),
)
async def update_me(
    data: JSONBody[ProfileBody], member: NamedDependency[SignedIn], db: NamedDependency[Database]
) -> MemberView:
    nickname = None if data.nickname is UNSET else data.nickname
    avatar_url = None if data.avatar_url is UNSET else data.avatar_url
    async with db.begin() as session:
        changed = await people.describe(session, member.member_id, nickname=nickname, avatar_url=avatar_url)
    return schemas.member_view(changed)


@post(
    "/me/phone",
    operation_id="bindPhone",
    summary="Bind the phone number behind a getPhoneNumber code",
    tags=_TAGS,
    security=MEMBER_ONLY,
    status_code=200,
    responses=declared(*BODY, PhoneCodeInvalid, SignInNeeded, WeChatBusy, WeChatUnavailable),
)
async def bind_phone(
    data: JSONBody[PhoneBody],
    member: NamedDependency[SignedIn],
    db: NamedDependency[Database],
    platform: NamedDependency[Platform],
) -> MemberView:
    phone = await platform.phone_number(data.code, openid=member.openid)
    async with db.begin() as session:
        changed = await people.set_phone(session, member.member_id, phone)
    return schemas.member_view(changed)


@get(
    "/addresses",
    operation_id="listAddresses",
    summary="The member's addresses, the default first",
    tags=_TAGS,
    security=MEMBER_ONLY,
    responses=declared(SignInNeeded),
)
async def list_addresses(member: NamedDependency[SignedIn], db: NamedDependency[Database]) -> Addresses:
    async with db.begin() as session:
        found = await addresses.list_all(session, member.member_id)
    return Addresses(items=[schemas.address_view(address) for address in found])


@post(
    "/addresses",
    operation_id="addAddress",
    summary="Keep a new address",
    tags=_TAGS,
    security=MEMBER_ONLY,
    responses=declared(*BODY, SignInNeeded, TooManyAddresses),
)
async def add_address(
    data: JSONBody[AddressBody],
    member: NamedDependency[SignedIn],
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> AddressView:
    async with db.begin() as session:
        address = await addresses.add(session, member.member_id, data.place(), clock.now())
    return schemas.address_view(address)


@get(
    "/addresses/{address_id:str}",
    operation_id="getAddress",
    summary="One address",
    tags=_TAGS,
    security=MEMBER_ONLY,
    responses=declared(InvalidInput, SignInNeeded, AddressNotFound),
)
async def get_address(
    address_id: PathId, member: NamedDependency[SignedIn], db: NamedDependency[Database]
) -> AddressView:
    async with db.begin() as session:
        address = await addresses.get(session, member.member_id, as_id(address_id))
    return schemas.address_view(address)


@put(
    "/addresses/{address_id:str}",
    operation_id="updateAddress",
    summary="Replace an address",
    tags=_TAGS,
    security=MEMBER_ONLY,
    responses=declared(*BODY, SignInNeeded, AddressNotFound),
)
async def update_address(
    address_id: PathId,
    data: JSONBody[AddressBody],
    member: NamedDependency[SignedIn],
    db: NamedDependency[Database],
) -> AddressView:
    async with db.begin() as session:
        address = await addresses.change(session, member.member_id, as_id(address_id), data.place())
    return schemas.address_view(address)


@delete(
    "/addresses/{address_id:str}",
    operation_id="deleteAddress",
    summary="Delete an address",
    tags=_TAGS,
    security=MEMBER_ONLY,
    responses=declared(InvalidInput, SignInNeeded, AddressNotFound),
)
async def delete_address(address_id: PathId, member: NamedDependency[SignedIn], db: NamedDependency[Database]) -> None:
    async with db.begin() as session:
        await addresses.remove(session, member.member_id, as_id(address_id))


ROUTES: list[Any] = [
    sign_in,
    sign_out,
    get_me,
    update_me,
    bind_phone,
    list_addresses,
    add_address,
    get_address,
    update_address,
    delete_address,
]
