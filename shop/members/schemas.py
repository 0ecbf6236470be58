"""Bodies on the wire."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kit.fields import Id, Line, OptionalLine, Word
from shop.members.addresses import Place
from shop.members.models import Address, Member

Code = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[!-~]+$(?!\n)")]
Phone = Annotated[
    str, Meta(pattern=r"^\+?[0-9][0-9 -]{4,18}[0-9]$(?!\n)", description="Digits, with +, spaces or dashes")
]
RegionCode = Annotated[str, Meta(pattern=r"^[0-9]{2,12}$(?!\n)", description="Administrative division")]
Tag = Annotated[str, Meta(max_length=20, pattern=r"^[^\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]*$(?!\n)")]
Nickname = Annotated[str, Meta(max_length=64, pattern=r"^[^\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]*$(?!\n)")]

AvatarUrl = Annotated[str, Meta(max_length=500, pattern=r"^((/|https?://)[!-~]*)?$(?!\n)")]


class _Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    pass


class _View(msgspec.Struct, rename="camel", kw_only=True):
    pass


class SignInBody(_Body):
    """`code`: from `wx.login`, single use, good for five minutes."""

    code: Code


class PhoneBody(_Body):
    """`code`: from the `getPhoneNumber` button, not from `wx.login`."""

    code: Code


class ProfileBody(_Body):
    """What is left out stays; an empty text takes it away. Neither nickname nor avatar is the normal case."""

    nickname: Nickname | UnsetType = UNSET
    avatar_url: AvatarUrl | UnsetType = UNSET


class AddressBody(_Body, kw_only=True):
    name: Word
    phone: Phone
    province: Word
    city: Word
    district: OptionalLine = ""
    province_code: RegionCode | None = None
    city_code: RegionCode | None = None
    district_code: RegionCode | None = None
    detail: Line
    tag: Tag = ""
    is_default: bool = False

    def place(self) -> Place:
        return msgspec.convert(msgspec.structs.asdict(self), Place)


class MemberView(_View):
    """`phone` shows only its last four digits; None: not bound."""

    id: Id
    nickname: str
    avatar_url: str
    phone: str | None
    created_at: datetime


class SignedInMember(_View):
    id: Id
    nickname: str
    avatar_url: str
    phone: str | None
    is_new: bool


class SignInView(_View):
    """`expires_in`: seconds."""

    access_token: str
    expires_in: int
    member: SignedInMember


class AddressView(_View):
    id: Id
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


class Addresses(_View):
    items: list[AddressView]


def masked(phone: str | None) -> str | None:
    """`138****0001`."""
    if phone is None:
        return None
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 8 else "****"


def member_view(member: Member) -> MemberView:
    return MemberView(
        id=str(member.id),
        nickname=member.nickname,
        avatar_url=member.avatar_url,
        phone=masked(member.phone),
        created_at=member.created_at,
    )


def sign_in_view(token: str, lives_s: int, member: Member, *, is_new: bool) -> SignInView:
    who = SignedInMember(
        id=str(member.id),
        nickname=member.nickname,
        avatar_url=member.avatar_url,
        phone=masked(member.phone),
        is_new=is_new,
    )
    return SignInView(access_token=token, expires_in=lives_s, member=who)


def address_view(address: Address) -> AddressView:
    return AddressView(
        id=str(address.id),
        name=address.name,
        phone=address.phone,
        province=address.province,
        city=address.city,
        district=address.district,
        province_code=address.province_code,
        city_code=address.city_code,
        district_code=address.district_code,
        detail=address.detail,
        tag=address.tag,
        is_default=address.is_default,
    )
