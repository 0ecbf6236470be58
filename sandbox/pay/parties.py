"""Whose money it is: a direct merchant's own, or that of the one sub-merchant who authorised a partner."""

from typing import Any

from sandbox.pay import refusals
from sandbox.world import World


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
        raise refusals.Refusal(403, "NO_AUTH", "商户号无权限：子商户未授权给服务商", number=268447843)
    if said.get("sub_appid") not in {None, world.keys.identity.sub_app_id}:
        raise refusals.Refusal(400, "APPID_MCHID_NOT_MATCH", "sub_appid和sub_mchid不匹配", number=268445527)


def of(world: World) -> dict[str, str]:
    """What answers of profit sharing and refunds carry in partner mode."""
    sub = world.keys.identity.sub_mch_id
    return {"sub_mchid": sub} if sub else {}
