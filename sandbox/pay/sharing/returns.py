"""Asking a share back from a merchant who got it."""

import sqlite3
from typing import Any

from sandbox.pay import numbers, orders, parties, refusals
from sandbox.pay.exchange import Call
from sandbox.pay.sharing import steps
from sandbox.pay.sharing.objects import returned
from sandbox.world import World

LONGEST_S = 180 * 86400


def give_back(world: World, call: Call) -> dict[str, Any]:
    """``POST /v3/profitsharing/return-orders``. The same number with the same parameters answers as it is now."""
    body = call.json
    parties.check_sub(world, body)
    if ("order_id" in body) == ("out_order_no" in body):
        raise refusals.param_error("order_id和out_order_no二选一", field="/out_order_no")
    said = orders.canonical(body)
    with world.db.transaction():
        steps.settle_due_inside(world)
        known = find(world, body["out_return_no"])
        if known is not None:
            if known["body"] != said:
                raise refusals.invalid("回退单号已存在，且请求参数与原请求不一致", number=268498688)
            return returned(world, known)
        share_order = _share_order(world, body)
        _check(world, share_order, body)
        content = returned(world, _add(world, share_order, body, said))
    world.changed.set()
    return content


def look_up(world: World, call: Call) -> dict[str, Any]:
    """``GET /v3/profitsharing/return-orders/{out_return_no}?out_order_no=``."""
    steps.settle_due(world)
    parties.check_sub(world, dict(call.query), location="query")
    found = find(world, call.params["out_return_no"])
    if found is None or found["out_order_no"] != call.query["out_order_no"]:
        raise refusals.resource_unknown("回退单不存在")
    return returned(world, found)


def find(world: World, out_return_no: str) -> sqlite3.Row | None:
    """The return as stored."""
    return world.db.row("SELECT * FROM share_returns WHERE out_return_no = ?", out_return_no)


def _share_order(world: World, body: dict[str, Any]) -> sqlite3.Row:
    sql = "SELECT * FROM share_orders WHERE order_id = ? OR out_order_no = ?"
    found = world.db.row(sql, body.get("order_id"), body.get("out_order_no"))
    if found is None:
        raise refusals.resource_unknown("分账单不存在")
    return found


def _check(world: World, share_order: sqlite3.Row, body: dict[str, Any]) -> None:
    sql = """SELECT * FROM shares WHERE out_order_no = ? AND type = 'MERCHANT_ID' AND account = ? AND NOT own
             AND result = 'SUCCESS'"""
    share = world.db.row(sql, share_order["out_order_no"], body["return_mchid"])
    if share is None:
        raise refusals.invalid("该商户不是此分账单的成功接收方，不能回退")
    if world.clock.now() > share["finished_at"] + LONGEST_S:
        raise refusals.invalid("分账已超过180天，不能回退")
    gone = "SELECT sum(amount) FROM share_returns WHERE out_order_no = ? AND return_mchid = ? AND result != 'FAILED'"
    before = world.db.number(gone, share_order["out_order_no"], body["return_mchid"])
    if before + body["amount"] > share["amount"]:
        raise refusals.invalid("回退金额大于可回退的分账金额")


def _add(world: World, share_order: sqlite3.Row, body: dict[str, Any], said: str) -> sqlite3.Row:
    now = world.clock.now()
    world.db.insert(
        "share_returns",
        {
            "out_return_no": body["out_return_no"],
            "return_id": numbers.share_id(now),
            "out_order_no": share_order["out_order_no"],
            "body": said,
            "return_mchid": body["return_mchid"],
            "amount": body["amount"],
            "description": body["description"],
            "result": "PROCESSING",
            "created_at": now,
            "next_at": now + world.knobs.share_delay_s,
        },
    )
    added = find(world, body["out_return_no"])
    assert added is not None
    return added
