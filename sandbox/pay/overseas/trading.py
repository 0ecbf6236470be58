"""Orders and refunds in the merchant's own currency: the ordinary ones, once that is checked."""

import re
import sqlite3
from typing import Any

from sandbox.pay import orders, refund_objects, refunds, refusals
from sandbox.pay.exchange import Call
from sandbox.pay.overseas.objects import refund as view
from sandbox.world import World

PAGE = 20


def place(world: World, trade_type: str, body: dict[str, Any]) -> sqlite3.Row:
    """``POST /v3/global/transactions/{jsapi,app,native,mweb}``; answers the prepay's row."""
    _check_currency(world, body)
    return orders.place(world, trade_type, body)


def request_refund(world: World, call: Call) -> dict[str, Any]:
    """``POST /v3/global/refunds``."""
    body = call.json
    _check_currency(world, body)
    orders.check_appid(world, body["appid"])
    return view(world, refunds.request(world, body))


def look_up_refund(world: World, call: Call) -> dict[str, Any]:
    """``GET /v3/global/refunds/out-refund-no/{out_refund_no}?mchid=``."""
    return view(world, refunds.look_up(world, call.params["out_refund_no"]))


def look_up_refund_by_id(world: World, call: Call) -> dict[str, Any]:
    """``GET /v3/global/refunds/id/{refund_id}?mchid=``."""
    row = world.db.row("SELECT out_refund_no FROM refunds WHERE refund_id = ?", call.params["refund_id"])
    if row is None:
        raise refusals.resource_unknown()
    return view(world, refunds.look_up(world, row["out_refund_no"]))


def list_refunds(world: World, call: Call) -> dict[str, Any]:
    """``GET /v3/global/refunds?mchid=&out_trade_no=|transaction_id=&offset=&count=``: the first asked for first."""
    refunds.settle_due(world)
    query = call.query
    wanted = (query.get("out_trade_no"), query.get("transaction_id"))
    if wanted == (None, None):
        raise refusals.param_error("out_trade_no和transaction_id不能同时为空", field="out_trade_no", location="query")
    offset, count = _number(query, "offset", 0, 10**6), _number(query, "count", PAGE, PAGE)
    order = world.db.row("SELECT out_trade_no FROM orders WHERE out_trade_no = ? OR transaction_id = ?", *wanted)
    if order is None:
        raise refusals.resource_unknown("订单不存在")
    sql = "SELECT * FROM refunds WHERE out_trade_no = ? ORDER BY created_at"
    rows = world.db.rows(sql, order["out_trade_no"])
    shown = [view(world, refund_objects.view(world, row)) for row in rows[offset : offset + count]]
    return {"data": shown, "total_count": len(rows), "offset": offset, "count": len(shown)}


def _number(query: dict[str, str], name: str, otherwise: int, most: int) -> int:
    given = query.get(name, str(otherwise))
    if not re.fullmatch(r"[0-9]{1,7}", given) or int(given) > most:
        raise refusals.param_error(f"{name}应为不大于{most}的整数", field=name, value=given, location="query")
    return int(given)


def _check_currency(world: World, body: dict[str, Any]) -> None:
    if body["amount"]["currency"] != world.keys.identity.currency:
        given = body["amount"]["currency"]
        raise refusals.param_error("货币类型与商户结算币种不一致", field="/amount/currency", value=given)
