"""Declarations: made, amended, made again, looked up; and how they move by themselves.

PROCESSING → SUCCESS | FAIL | EXCEPT        amended: SUBMITTED → SUCCESS | FAIL | EXCEPT
"""

import json
import secrets
import sqlite3
from typing import Any

from sandbox.clock import on_the_wire
from sandbox.pay import orders, refusals
from sandbox.pay.exchange import Call
from sandbox.world import World

DEPARTMENT = "NETSUNION"
KEYS = {
    "transaction_id": "o.transaction_id",
    "out_trade_no": "d.out_trade_no",
    "sub_order_no": "d.sub_order_no",
    "sub_order_id": "d.sub_order_id",
}
PAGE = 20
NAMES = ("/certificate_id", "/name")


def declare(world: World, call: Call) -> dict[str, Any]:
    """``POST /v3/global/customs/orders``. The same again answers as it is now; other values are for PATCH."""
    body = call.json
    orders.check_appid(world, body["appid"])
    with world.db.transaction():
        order = _paid_order(world, body)
        known = _find(world, body)
        if known is not None:
            if known["body"] != orders.canonical(body):
                raise refusals.invalid("该订单已申报，修改申报信息请使用修改接口", number=268498688)
            return view(world, known)
        _check_fees(world, order, body)
        _add(world, body)
        added = _find(world, body)
    assert added is not None
    world.changed.set()
    return view(world, added)


def amend(world: World, call: Call) -> dict[str, Any]:
    """``PATCH /v3/global/customs/orders``: other figures of what was declared, which goes to the office again."""
    body = call.json
    orders.check_appid(world, body["appid"])
    with world.db.transaction():
        order = _paid_order(world, body)
        known = _get(world, body)
        _check_fees(world, order, body, besides=known["sub_order_id"])
        said = json.loads(known["body"]) | body
        world.db.write(
            "UPDATE declarations SET body = ? WHERE sub_order_id = ?", orders.canonical(said), known["sub_order_id"]
        )
        moved = move(world, known["sub_order_id"], "SUBMITTED")
    world.changed.set()
    return view(world, moved)


def redeclare(world: World, call: Call) -> dict[str, Any]:
    """``POST /v3/global/customs/redeclare``: the same once more, after it failed or was lost at the office."""
    body = call.json
    orders.check_appid(world, body["appid"])
    named = {name: body[name] for name in KEYS if name in body}
    if not named:
        raise refusals.param_error(
            "transaction_id、out_trade_no、sub_order_no、sub_order_id不能同时为空", field="/out_trade_no"
        )
    with world.db.transaction():
        found = _search(world, named, body["customs"])
        if not found:
            raise refusals.resource_unknown("报关单不存在")
        moved = [move(world, row["sub_order_id"], "PROCESSING") for row in found]
    world.changed.set()
    return view(world, moved[0])


def verify(world: World, call: Call) -> dict[str, Any]:
    """``POST /v3/global/customs/verify-certificate``: is the buyer whom the order names. Here everybody is, but 异."""
    body = call.json
    orders.check_appid(world, body["appid"])
    order = _paid_order(world, body)
    content = {name: body[name] for name in ("appid", "mchid", "out_trade_no", "transaction_id", "customs")}
    same = "DIFFERENT" if call.opened["/name"].startswith("异") else "SAME"
    return content | {
        "certificate_check_result": same,
        "verify_department": DEPARTMENT,
        "verify_department_trade_id": _trade_id(order["transaction_id"]),
    }


def look_up(world: World, call: Call) -> dict[str, Any]:
    """``GET /v3/global/customs/orders?order_type=&order_no=&customs=&offset=&limit=``: every part of an order."""
    settle_due(world)
    query = call.query
    kind = query["order_type"]
    if kind not in KEYS:
        raise refusals.param_error("order_type不在取值范围内", field="order_type", value=kind, location="query")
    for name in ("offset", "limit"):
        if not query.get(name, "0").isdecimal():
            raise refusals.param_error(f"{name}应为整数", field=name, value=query[name], location="query")
    found = _search(world, {kind: query["order_no"]}, query["customs"])
    if not found:
        raise refusals.resource_unknown("报关单不存在")
    offset, limit = int(query.get("offset", "0")), min(int(query.get("limit", str(PAGE))) or PAGE, PAGE)
    first = view(world, found[0])
    whole = {name: first[name] for name in ("appid", "mchid", "transaction_id", "customs")}
    department = {name: first[name] for name in ("verify_department", "verify_department_trade_id")}
    page = [view(world, row) for row in found[offset : offset + limit]]
    return whole | department | {"data": page, "total_count": len(found), "offset": offset, "limit": limit}


def view(world: World, declaration: sqlite3.Row) -> dict[str, Any]:
    """One declaration with what was declared."""
    body = json.loads(declaration["body"])
    content = {name: value for name, value in body.items() if name != "merchant_customs_no"}
    content |= {
        "state": declaration["state"],
        "modify_time": on_the_wire(declaration["updated_at"]),
        "verify_department": DEPARTMENT,
        "verify_department_trade_id": declaration["department_trade_id"],
    }
    if declaration["sub_order_no"]:
        content["sub_order_id"] = declaration["sub_order_id"]
    if declaration["explanation"] is not None:
        content["explanation"] = declaration["explanation"]
    return content


def move(
    world: World, sub_order_id: str, state: str, *, explanation: str | None = None, at: float | None = None
) -> sqlite3.Row:
    """Set the state; what is under way ends a little later."""
    moment = world.clock.now() if at is None else at
    next_at = moment + world.knobs.customs_delay_s if state in {"PROCESSING", "SUBMITTED"} else None
    sql = "UPDATE declarations SET state = ?, explanation = ?, updated_at = ?, next_at = ? WHERE sub_order_id = ?"
    world.db.write(sql, state, explanation, moment, next_at, sub_order_id)
    moved = world.db.row("SELECT * FROM declarations WHERE sub_order_id = ?", sub_order_id)
    assert moved is not None
    return moved


def settle_due(world: World) -> None:
    """The office has them."""
    sql = "SELECT * FROM declarations WHERE next_at <= ? ORDER BY next_at"
    for row in world.db.rows(sql, world.clock.now()):
        move(world, row["sub_order_id"], "SUCCESS", at=row["next_at"])


def next_due(world: World) -> float | None:
    """When the next of them ends."""
    row = world.db.row("SELECT min(next_at) AS at FROM declarations WHERE next_at IS NOT NULL")
    return row["at"] if row else None


def _paid_order(world: World, body: dict[str, Any]) -> sqlite3.Row:
    order = orders.find_single(world, body["out_trade_no"])
    if order is None:
        raise refusals.order_unknown()
    if order["state"] not in {"SUCCESS", "REFUND"}:
        raise refusals.invalid("订单未支付，不能报关")
    if order["transaction_id"] != body["transaction_id"]:
        raise refusals.invalid("transaction_id和out_trade_no不一致")
    return order


def _check_fees(world: World, order: sqlite3.Row, body: dict[str, Any], besides: str = "") -> None:
    """A split order says what each part is made of, and the parts are not more than was paid."""
    if "sub_order_no" in body and not {"order_fee", "transport_fee", "product_fee"} <= set(body):
        raise refusals.param_error("拆单时子订单金额、物流费、商品价格必填", field="/order_fee")
    if "order_fee" not in body:
        return
    if body["order_fee"] != body.get("transport_fee", 0) + body.get("product_fee", 0):
        raise refusals.invalid("子订单金额应等于物流费与商品价格之和")
    sql = "SELECT body FROM declarations WHERE out_trade_no = ? AND customs = ? AND sub_order_id != ?"
    others = world.db.rows(sql, order["out_trade_no"], body["customs"], besides)
    if body["order_fee"] + sum(json.loads(row["body"]).get("order_fee", 0) for row in others) > order["total"]:
        raise refusals.invalid("子订单金额之和大于订单金额")


def _find(world: World, body: dict[str, Any]) -> sqlite3.Row | None:
    settle_due(world)
    sql = "SELECT * FROM declarations WHERE out_trade_no = ? AND customs = ? AND sub_order_no = ?"
    return world.db.row(sql, body["out_trade_no"], body["customs"], body.get("sub_order_no", ""))


def _get(world: World, body: dict[str, Any]) -> sqlite3.Row:
    known = _find(world, body)
    if known is None:
        raise refusals.resource_unknown("报关单不存在")
    return known


def _search(world: World, named: dict[str, str], customs: str) -> list[sqlite3.Row]:
    wanted = " AND ".join(f"{KEYS[name]} = ?" for name in named)
    sql = f"""SELECT d.* FROM declarations d JOIN orders o USING (out_trade_no)
              WHERE d.customs = ? AND {wanted} ORDER BY d.created_at, d.sub_order_no"""  # noqa: S608 - our names
    return world.db.rows(sql, customs, *named.values())


def _add(world: World, body: dict[str, Any]) -> None:
    now = world.clock.now()
    world.db.insert(
        "declarations",
        {
            "sub_order_id": f"1{secrets.randbelow(10**25):025d}",
            "out_trade_no": body["out_trade_no"],
            "customs": body["customs"],
            "sub_order_no": body.get("sub_order_no", ""),
            "body": orders.canonical(body),
            "state": "PROCESSING",
            "department_trade_id": _trade_id(body["transaction_id"]),
            "created_at": now,
            "updated_at": now,
            "next_at": now + world.knobs.customs_delay_s,
        },
    )


def _trade_id(transaction_id: str) -> str:
    """The clearing house's number of the payment: always the same for it."""
    return f"{transaction_id[10:18]}{transaction_id[::-1]}"[:31]
