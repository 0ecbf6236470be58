"""Levers on people: who they are, and the codes their phones hand to the Mini Program."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

import msgspec
from litestar import get, post
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler

from sandbox.control.levers import NotNow
from sandbox.miniprogram import codes, users
from sandbox.world import World

Label = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class CodeWanted(msgspec.Struct, forbid_unknown_fields=True):
    """``login`` as from ``wx.login``, ``phone`` as from the phone-number button, ``payment`` for a till to scan."""

    kind: Literal["login", "phone", "payment"]
    user: Label


class Person(msgspec.Struct, forbid_unknown_fields=True):
    """What is not named stays. ``unionid`` true makes one, a text sets it, null takes it away."""

    user: Label
    unionid: str | bool | msgspec.UnsetType | None = msgspec.UNSET
    phone: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{5,15}$")] | msgspec.UnsetType = msgspec.UNSET
    country_code: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,4}$")] | msgspec.UnsetType = msgspec.UNSET
    blocked: bool | msgspec.UnsetType = msgspec.UNSET
    account_closed: bool | msgspec.UnsetType = msgspec.UNSET


def handlers(world: World) -> list[ControllerRouterHandler]:
    """The routes."""

    @post("/_sandbox/codes", status_code=201, summary="A fresh login or phone code of a user, made on first use")
    async def code(data: JSONBody[CodeWanted]) -> dict[str, str]:
        user = users.meet(world, data.user)
        return {"code": codes.mint(world, data.kind, user), "openid": user.openid}

    @get("/_sandbox/users", summary="Everyone")
    async def everyone() -> dict[str, Any]:
        return {"items": [_person(world, user) for user in users.everyone(world)]}

    @post("/_sandbox/users", status_code=200, summary="Make or change a user")
    async def change(data: JSONBody[Person]) -> dict[str, Any]:
        facts: dict[str, Any] = msgspec.to_builtins(data)  # leaves out what was not named
        label = facts.pop("user")
        if isinstance(facts.get("unionid"), bool):
            facts["unionid"] = users.unionid_for(label) if facts["unionid"] else None
        if facts.get("unionid") == "":
            raise NotNow("A unionid is not empty.")
        return _person(world, users.change(world, label, facts))

    return [code, everyone, change]


def _person(world: World, user: users.User) -> dict[str, Any]:
    """In partner mode with the openid that the sub-merchant knows."""
    if world.keys.identity.sub_mch_id is None:
        return asdict(user)
    return asdict(user) | {"sub_openid": users.sub_openid(world, user.openid)}
