"""Combinations until they are paid: made, asked for again, looked up, closed. Their sub-orders move together."""

import sqlite3
from typing import Any

from sandbox.pay import numbers, orders, parties, refusals
from sandbox.pay.combined.forms import MOST_DIRECT
from sandbox.pay.combined.objects import view
from sandbox.pay.partner.orders import by_sub_openid
from sandbox.world import World


def place(world: World, trade_type: str, body: dict[str, Any]) -> sqlite3.Row:
    """``POST /v3/combine-transactions/{jsapi,app,native,h5}``: every sub-order or none; answers the prepay's row.

    The same number with the same parameters gets a new prepay, with others it is refused; so is a sub-order's number
    that was used before.
    """
    _check_parties(world, body)
    payer = _payer(world, body)
    with world.db.transaction():
        combination = find(world, body["combine_out_trade_no"])
        if combination is None:
            _add(world, trade_type, body, payer)
        else:
            _meet_again(world, combination, trade_type, body)
        return _issue_prepay(world, trade_type, body["combine_out_trade_no"])


def find(world: World, combine_out_trade_no: str) -> sqlite3.Row | None:
    """The combination as it was ordered; its state is that of its parts."""
    return world.db.row("SELECT * FROM combinations WHERE combine_out_trade_no = ?", combine_out_trade_no)


def parts(world: World, combine_out_trade_no: str) -> list[sqlite3.Row]:
    """The sub-orders as they are now, in the order they were given."""
    sql = "SELECT out_trade_no FROM combined_orders WHERE combine_out_trade_no = ? ORDER BY place"
    found = [orders.find(world, row["out_trade_no"]) for row in world.db.rows(sql, combine_out_trade_no)]
    return [order for order in found if order is not None]


def look_up(world: World, combine_out_trade_no: str) -> dict[str, Any]:
    """``GET /v3/combine-transactions/out-trade-no/{combine_out_trade_no}``."""
    combination = find(world, combine_out_trade_no)
    if combination is None:
        raise refusals.order_unknown()
    return view(world, combination, parts(world, combine_out_trade_no))


def close(world: World, combine_out_trade_no: str, body: dict[str, Any]) -> None:
    """``POST …/close`` with exactly the sub-orders given at first. Again is fine; what was paid is ORDERPAID."""
    orders.check_appid(world, body["combine_appid"])
    with world.db.transaction():
        if find(world, combine_out_trade_no) is None:
            raise refusals.order_unknown()
        known = parts(world, combine_out_trade_no)
        given = [part["out_trade_no"] for part in body["sub_orders"]]
        if sorted(given) != sorted(part["out_trade_no"] for part in known):
            raise refusals.invalid("关单的子单信息与下单时不一致", number=268498688)
        _check_merchants(world, body["sub_orders"])
        if any(part["state"] in {"SUCCESS", "REFUND"} for part in known):
            raise refusals.order_paid()
        for number in given:
            sql = "UPDATE orders SET state = 'CLOSED', closed_at = ? WHERE out_trade_no = ? AND state = 'NOTPAY'"
            world.db.write(sql, world.clock.now(), number)


def _check_parties(world: World, body: dict[str, Any]) -> None:
    orders.check_appid(world, body["combine_appid"])
    _check_merchants(world, body["sub_orders"])
    given = [part["out_trade_no"] for part in body["sub_orders"]]
    for index, number in enumerate(given):
        if number in given[:index] or number == body["combine_out_trade_no"]:
            raise refusals.param_error("子单商户订单号重复", field=f"/sub_orders/{index}/out_trade_no", value=number)


def _payer(world: World, body: dict[str, Any]) -> str | None:
    """The one person whom ``openid`` (of the combiner's app) or ``sub_openid`` (of the sub-merchant's) names, if any."""
    payer, where = body.get("combine_payer_info"), "/combine_payer_info"
    if payer is None:
        return None
    if "sub_openid" in payer and "openid" not in payer and world.keys.identity.sub_mch_id is not None:
        if any("sub_appid" not in part for part in body["sub_orders"]):
            raise refusals.param_error("传入sub_openid时，sub_appid必填", field="/sub_orders/0/sub_appid")
        return by_sub_openid(world, payer["sub_openid"], f"{where}/sub_openid")
    if "openid" not in payer or "sub_openid" in payer:
        message = f"输入源“/body{where}/openid”映射到值字段“用户标识”必填性规则校验失败，此字段为必填项"
        raise refusals.param_error(message, field=f"{where}/openid", issue="此字段为必填项")
    orders.check_openid(world, payer["openid"], f"{where}/openid")
    return str(payer["openid"])


def _check_merchants(world: World, sub_orders: list[dict[str, Any]]) -> None:
    """This world has one merchant (a partner: one sub-merchant); another's sub-order cannot be his."""
    if world.keys.identity.sub_mch_id is None and len(sub_orders) > MOST_DIRECT:
        raise refusals.param_error(f"子单数量大于最大值 {MOST_DIRECT}", field="/sub_orders", value=len(sub_orders))
    for part in sub_orders:
        parties.check_sub(world, part)
    if any(part["mchid"] != world.keys.identity.mch_id for part in sub_orders):
        raise refusals.Refusal(400, "MCH_NOT_EXISTS", "商户号不存在", number=268443715)


def _add(world: World, trade_type: str, body: dict[str, Any], payer: str | None) -> None:
    now, number = world.clock.now(), body["combine_out_trade_no"]
    if any(orders.find(world, each) for each in (number, *(part["out_trade_no"] for part in body["sub_orders"]))):
        raise orders.number_used(world)
    expires_at = orders.expiry(world, trade_type, body)
    common = {"openid": payer, "notify_url": body["notify_url"], "created_at": now, "expires_at": expires_at}
    world.db.insert(
        "combinations",
        {"combine_out_trade_no": number, "trade_type": trade_type, "body": orders.canonical(body), **common},
    )
    for place, part in enumerate(body["sub_orders"]):
        world.db.insert(
            "orders",
            {
                "out_trade_no": part["out_trade_no"],
                "trade_type": trade_type,
                "body": orders.canonical(part),
                "description": part["description"],
                "attach": part["attach"],
                "total": part["amount"]["total_amount"],
                "state": "NOTPAY",
                "closes_at": max(now + orders.LIFE_S, expires_at),
                **common,
            },
        )
        link = {"out_trade_no": part["out_trade_no"], "combine_out_trade_no": number, "place": place}
        world.db.insert("combined_orders", link)


def _meet_again(world: World, combination: sqlite3.Row, trade_type: str, body: dict[str, Any]) -> None:
    states = {part["state"] for part in parts(world, combination["combine_out_trade_no"])}
    if states & {"SUCCESS", "REFUND"}:
        raise refusals.order_paid()
    if "CLOSED" in states or combination["expires_at"] <= world.clock.now():
        raise refusals.order_closed()
    if combination["trade_type"] != trade_type or combination["body"] != orders.canonical(body):
        raise orders.number_used(world)


def _issue_prepay(world: World, trade_type: str, combine_out_trade_no: str) -> sqlite3.Row:
    now = world.clock.now()
    if trade_type == "NATIVE":  # ordering again invalidates the code that was shown before
        sql = "UPDATE combined_prepays SET replaced = 1 WHERE combine_out_trade_no = ?"
        world.db.write(sql, combine_out_trade_no)
    prepay_id = numbers.prepay_id(now)
    world.db.insert(
        "combined_prepays",
        {
            "prepay_id": prepay_id,
            "combine_out_trade_no": combine_out_trade_no,
            "code": numbers.code() if trade_type == "NATIVE" else None,
            "created_at": now,
            "valid_until": now + orders.PREPAY_S[trade_type],
        },
    )
    issued = world.db.row("SELECT * FROM combined_prepays WHERE prepay_id = ?", prepay_id)
    assert issued is not None
    return issued
