"""Sharing an order's money, and unfreezing what is left of it: asked for here, done a little later (:mod:`steps`)."""

import sqlite3
from typing import Any

from sandbox.pay import numbers, orders, parties, refusals
from sandbox.pay.exchange import Call
from sandbox.pay.sharing import frozen, receivers, steps
from sandbox.pay.sharing.objects import transaction_of, view
from sandbox.world import World

MOST_REQUESTS = 50
WHOLE_RATIO = 10_000


def share(world: World, call: Call) -> dict[str, Any]:
    """``POST /v3/profitsharing/orders``. The same number with the same parameters answers as it is now."""
    body = call.json
    parties.check_sub(world, body)
    orders.check_appid(world, body["appid"])
    _check_receivers(world, body["receivers"])
    plain = [
        {**each, "name": ""} for each in body["receivers"]
    ]  # encrypted anew each time: the plain ones are compared
    said = orders.canonical(body | {"receivers": plain, "names": call.opened})
    with world.db.transaction():
        if (known := _known(world, body["out_order_no"], said)) is not None:
            return view(world, known)
        order = _order(world, body["transaction_id"])
        _check_rules(world, order, sum(each["amount"] for each in body["receivers"]))
        placed = _add(world, order, body, said, shares=True, unfreezes=body["unfreeze_unsplit"])
        for place, each in enumerate(body["receivers"]):
            steps.add_share(world, placed, place, each)
        if body["unfreeze_unsplit"]:
            frozen.unfreeze(world, order["out_trade_no"], world.clock.now())
        content = view(world, placed)
    world.changed.set()
    return content


def unfreeze(world: World, call: Call) -> dict[str, Any]:
    """``POST /v3/profitsharing/orders/unfreeze``: what is left becomes the merchant's own, under a new number."""
    body = call.json
    parties.check_sub(world, body)
    said = orders.canonical(body)
    with world.db.transaction():
        if (known := _known(world, body["out_order_no"], said)) is not None:
            return view(world, known)
        order = _order(world, body["transaction_id"])
        _check_frozen(world, order)
        placed = _add(world, order, body, said, shares=False, unfreezes=True)
        frozen.unfreeze(world, order["out_trade_no"], world.clock.now())
        content = view(world, placed)
    world.changed.set()
    return content


def look_up(world: World, call: Call) -> dict[str, Any]:
    """``GET /v3/profitsharing/orders/{out_order_no}?transaction_id=``."""
    steps.settle_due(world)
    parties.check_sub(world, dict(call.query), location="query")
    found = steps.find(world, call.params["out_order_no"])
    if found is None or transaction_of(world, found) != call.query["transaction_id"]:
        raise refusals.resource_unknown("分账单不存在")
    return view(world, found)


def amounts(world: World, transaction_id: str) -> dict[str, Any]:
    """``GET /v3/profitsharing/transactions/{transaction_id}/amounts``."""
    steps.settle_due(world)
    order = _order(world, transaction_id)
    return {"transaction_id": transaction_id, "unsplit_amount": frozen.unsplit_fen(world, order)}


def merchant_config(world: World, sub_mchid: str) -> dict[str, Any]:
    """``GET /v3/profitsharing/merchant-configs/{sub_mchid}``: a partner's question."""
    if world.keys.identity.sub_mch_id is None:
        raise refusals.Refusal(403, "NO_AUTH", "商户无此接口权限", number=268443715)
    parties.check_sub(world, {"sub_mchid": sub_mchid}, location="url")
    return {"sub_mchid": sub_mchid, "max_ratio": world.knobs.share_max_ratio}


def _check_receivers(world: World, given: list[dict[str, Any]]) -> None:
    for index, each in enumerate(given):
        receivers.check_account(world, each["type"], each["account"], f"/receivers/{index}/account")
        same = [
            other for other in given[:index] if (other["type"], other["account"]) == (each["type"], each["account"])
        ]
        if same:
            raise refusals.param_error("分账接收方重复", field=f"/receivers/{index}/account", value=each["account"])


def _known(world: World, out_order_no: str, said: str) -> sqlite3.Row | None:
    steps.settle_due_inside(world)
    known = steps.find(world, out_order_no)
    if known is not None and known["body"] != said:
        raise refusals.invalid("分账单号已存在，且请求参数与原请求不一致", number=268498688)
    return known


def _order(world: World, transaction_id: str) -> sqlite3.Row:
    order = world.db.row("SELECT * FROM orders WHERE transaction_id = ?", transaction_id)
    if order is None:
        raise refusals.resource_unknown("订单不存在")
    return order


def _check_frozen(world: World, order: sqlite3.Row) -> None:
    freeze = frozen.find(world, order["out_trade_no"])
    if freeze is None:
        raise refusals.invalid("非分账订单不支持分账")
    if world.clock.now() < order["paid_at"] + world.knobs.share_wait_s:
        raise refusals.invalid("订单支付成功后需等待1分钟再发起分账")
    if freeze["unfrozen_at"] is not None:
        raise refusals.invalid("订单剩余资金已解冻，不能再分账")


def _check_rules(world: World, order: sqlite3.Row, fen: int) -> None:
    _check_frozen(world, order)
    sql = "SELECT count(*) FROM share_orders WHERE out_trade_no = ? AND shares"
    if world.db.number(sql, order["out_trade_no"]) >= MOST_REQUESTS:
        raise refusals.invalid("分账次数超过限制，一笔订单最多支持50次分账")
    if fen > frozen.unsplit_fen(world, order):
        raise refusals.Refusal(403, "NOT_ENOUGH", "分账金额大于订单剩余可分金额")
    gone = frozen.shared_fen(world, order["out_trade_no"])
    if (gone + fen) * WHOLE_RATIO > order["total"] * world.knobs.share_max_ratio:
        raise refusals.Refusal(403, "RULE_LIMIT", "分账金额超过最大分账比例")


def _add(
    world: World, order: sqlite3.Row, body: dict[str, Any], said: str, *, shares: bool, unfreezes: bool
) -> sqlite3.Row:
    now = world.clock.now()
    world.db.insert(
        "share_orders",
        {
            "out_order_no": body["out_order_no"],
            "order_id": numbers.share_id(now),
            "out_trade_no": order["out_trade_no"],
            "body": said,
            "shares": int(shares),
            "unfreezes": int(unfreezes),
            "description": body.get("description"),
            "state": "PROCESSING",
            "created_at": now,
            "next_at": now + world.knobs.share_delay_s,
        },
    )
    placed = steps.find(world, body["out_order_no"])
    assert placed is not None
    return placed
