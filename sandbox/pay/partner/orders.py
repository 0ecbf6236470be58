"""Orders of a sub-merchant, made by the partner: the ordinary ones, once it is clear whose they are."""

from typing import Any

from sandbox.miniprogram import users
from sandbox.pay import orders, parties, refusals
from sandbox.world import World


def as_direct(world: World, trade_type: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body with one appid, one mchid and one payer, as the rest of this world knows orders.

    ``sub_mchid`` and ``sub_appid`` stay in it: they belong to the order's parameters.
    """
    parties.check_sub(world, body)
    direct = {name: value for name, value in body.items() if name not in {"sp_appid", "sp_mchid"}}
    direct |= {"appid": body["sp_appid"], "mchid": body["sp_mchid"]}
    if trade_type == "JSAPI":
        direct["payer"] = {**body["payer"], "openid": _openid(world, body)}
    return direct


def _openid(world: World, body: dict[str, Any]) -> str:
    """The one person whom ``sp_openid`` or ``sub_openid`` names."""
    payer = body["payer"]
    if ("sp_openid" in payer) == ("sub_openid" in payer):
        raise refusals.param_error("sp_openid和sub_openid二选一", field="/payer/sp_openid")
    if "sp_openid" in payer:
        return str(payer["sp_openid"])
    if "sub_appid" not in body:
        raise refusals.param_error("传入sub_openid时，sub_appid必填", field="/sub_appid")
    return by_sub_openid(world, payer["sub_openid"], "/payer/sub_openid")


def by_sub_openid(world: World, given: str, field: str) -> str:
    """The person's own openid; one of the right look becomes a user, unless ``strict_openid`` is on."""
    known = users.of_sub_openid(world, given)
    if known is not None:
        return known
    if users.find(world, given) is not None or world.knobs.strict_openid:
        raise refusals.param_error("sub_openid与sub_appid不匹配", field=field, value=given)
    orders.check_openid(world, given, field)
    users.call_sub(world, given, given)
    return given
