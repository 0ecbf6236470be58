"""Who may be shared with: added before, and deleted again."""

from typing import Any

from sandbox.pay import orders, parties, refusals
from sandbox.pay.exchange import Call
from sandbox.world import World

NAME = "/name"


def add(world: World, call: Call) -> dict[str, Any]:
    """``POST /v3/profitsharing/receivers/add``; adding again is fine. A merchant's name is a must, and encrypted."""
    body = call.json
    _check(world, body)
    if body["type"] == "MERCHANT_ID" and NAME not in call.opened:
        raise refusals.param_error("接收方类型为商户号时，商户全称必填", field=NAME)
    if (body["relation_type"] == "CUSTOM") != ("custom_relation" in body):
        raise refusals.param_error("自定义的分账关系仅在关系类型为CUSTOM时必填", field="/custom_relation")
    if body["account"] == world.keys.identity.mch_id and body["type"] == "MERCHANT_ID":
        raise refusals.invalid("分账接收方不能是分账方自己")
    sql = """INSERT INTO share_receivers VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
             SET name = excluded.name, relation_type = excluded.relation_type, custom_relation = excluded.custom_relation"""
    named = (call.opened.get(NAME), body["relation_type"], body.get("custom_relation"))
    world.db.write(sql, body.get("sub_mchid", ""), body["type"], body["account"], *named)
    echoed = ("type", "account", "name", "relation_type", "custom_relation")
    return parties.of(world) | {name: body[name] for name in echoed if name in body}


def delete(world: World, call: Call) -> dict[str, Any]:
    """``POST /v3/profitsharing/receivers/delete``; one that is not there is fine."""
    body = call.json
    _check(world, body)
    sql = "DELETE FROM share_receivers WHERE sub_mchid = ? AND type = ? AND account = ?"
    world.db.write(sql, body.get("sub_mchid", ""), body["type"], body["account"])
    return parties.of(world) | {name: body[name] for name in ("type", "account")}


def knows(world: World, sub_mchid: str, kind: str, account: str) -> bool:
    """Whether this receiver was added."""
    sql = "SELECT 1 FROM share_receivers WHERE sub_mchid = ? AND type = ? AND account = ?"
    return world.db.row(sql, sub_mchid, kind, account) is not None


def _check(world: World, body: dict[str, Any]) -> None:
    parties.check_sub(world, body)
    orders.check_appid(world, body["appid"])
    check_account(world, body["type"], body["account"], "/account")


def check_account(world: World, kind: str, account: str, field: str) -> None:
    """A merchant number of the right look, or an openid that exists."""
    if kind == "MERCHANT_ID":
        if not (account.isdecimal() and account.isascii() and 8 <= len(account) <= 10):
            raise refusals.param_error("无效的商户号", field=field, value=account)
        return
    if kind == "PERSONAL_SUB_OPENID" and world.keys.identity.sub_mch_id is None:
        raise refusals.param_error("非服务商模式，不支持PERSONAL_SUB_OPENID", field=field, value=account)
    orders.check_openid(world, account, field)
