"""Whose money it is: a direct merchant's own, or that of the one sub-merchant who authorised a partner.

Which products a merchant may call follows from that: a partner receives nothing for itself, and an overseas merchant
has the overseas calls only.
"""

import json
import sqlite3
from typing import Any

from sandbox.miniprogram import users
from sandbox.pay import refusals
from sandbox.world import World

PARTNERS_ONLY = ("/v3/pay/partner/",)
DIRECT_ONLY = ("/v3/pay/transactions/",)
OVERSEAS = ("/v3/global/",)
EVERYWHERE = ("/v3/certificates", "/v3/security/", "/v3/global/customs/")
"""Merchants at home who import declare to customs as well."""


def check_product(world: World, path: str) -> None:
    """Raise NO_AUTH where this merchant's account is not of the kind that a path is for."""
    identity = world.keys.identity
    if path.startswith(EVERYWHERE):
        return
    if path.startswith(OVERSEAS) != (identity.region == "global"):
        raise no_auth("商户无此接口权限：境内外商户接口不通用")
    if path.startswith(PARTNERS_ONLY) and identity.sub_mch_id is None:
        raise no_auth("商户无此接口权限：非服务商商户")
    if path.startswith(DIRECT_ONLY) and identity.sub_mch_id is not None:
        raise no_auth("商户无此接口权限：服务商不能以自身商户号收款")


def no_auth(message: str) -> refusals.Refusal:
    """403: not for this merchant."""
    return refusals.Refusal(403, "NO_AUTH", message, number=268443715)


def check_sub(world: World, said: dict[str, Any], *, location: str = "body") -> None:
    """Hold ``sub_mchid`` (and ``sub_appid``) against this world's merchant.

    A partner must name the sub-merchant; a direct merchant has none to name.
    """
    wanted, given = world.keys.identity.sub_mch_id, said.get("sub_mchid")
    if wanted is None:
        if given is not None:
            raise refusals.param_error(
                "非服务商模式，不能传入sub_mchid", field="/sub_mchid", value=given, location=location
            )
        return
    if given is None:
        message = f"输入源“/{location}/sub_mchid”映射到值字段“子商户号”必填性规则校验失败，此字段为必填项"
        raise refusals.param_error(message, field="/sub_mchid", issue="此字段为必填项", location=location)
    if given != wanted:
        raise no_auth("商户号无权限：子商户未授权给服务商")
    if said.get("sub_appid") not in {None, world.keys.identity.sub_app_id}:
        raise refusals.Refusal(400, "APPID_MCHID_NOT_MATCH", "sub_appid和sub_mchid不匹配", number=268445527)


def of(world: World) -> dict[str, str]:
    """What answers of profit sharing and combined payment carry in partner mode."""
    sub = world.keys.identity.sub_mch_id
    return {"sub_mchid": sub} if sub else {}


def merchants(world: World) -> dict[str, str]:
    """Who the merchant is, in a notification without an appid."""
    identity = world.keys.identity
    if identity.sub_mch_id is None:
        return {"mchid": identity.mch_id}
    return {"sp_mchid": identity.mch_id, "sub_mchid": identity.sub_mch_id}


def of_order(world: World, order: sqlite3.Row) -> dict[str, str]:
    """Who the merchant is, in a transaction: with the appids of the order."""
    identity = world.keys.identity
    if identity.sub_mch_id is None:
        return {"appid": identity.app_id, "mchid": identity.mch_id}
    sub_appid = json.loads(order["body"]).get("sub_appid")
    return {"sp_appid": identity.app_id, **merchants(world), **({"sub_appid": sub_appid} if sub_appid else {})}


def payer(world: World, order: sqlite3.Row) -> dict[str, str]:
    """Who paid; to the sub-merchant's appid only where the order named it."""
    if world.keys.identity.sub_mch_id is None:
        return {"openid": order["payer"]}
    known = {"sp_openid": order["payer"]}
    if json.loads(order["body"]).get("sub_appid"):
        known["sub_openid"] = users.sub_openid(world, order["payer"])
    return known
