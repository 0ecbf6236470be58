"""Refunds: accepted, looked up, and settled a little later.

PROCESSING → SUCCESS | ABNORMAL | CLOSED        ABNORMAL → PROCESSING | SUCCESS | CLOSED
"""

import json
import sqlite3
from typing import Any

from sandbox.clock import on_the_wire
from sandbox.miniprogram import users
from sandbox.notices import outbox
from sandbox.pay import numbers, orders, refusals
from sandbox.pay.refunding import check_rules, coupon_share
from sandbox.world import World

MOVES = {
    "PROCESSING": {"SUCCESS", "ABNORMAL", "CLOSED"},
    "ABNORMAL": {"PROCESSING", "SUCCESS", "CLOSED"},
    "SUCCESS": set[str](),
    "CLOSED": set[str](),
}
SUMMARIES = {"SUCCESS": "退款成功", "ABNORMAL": "退款异常", "CLOSED": "退款关闭"}
RECEIVED_BY = "支付用户零钱"


class IllegalMove(Exception):
    """The refund cannot go from its status to the wanted one."""


def request(world: World, body: dict[str, Any]) -> dict[str, Any]:
    """``POST /v3/refund/domestic/refunds``. The same number with the same parameters answers the refund as it is now."""
    with world.db.transaction():
        known = find(world, body["out_refund_no"])
        if known is not None:
            if known["body"] != orders.canonical(body):
                raise refusals.invalid("您的请求参数与订单信息不一致", number=268498688)
            return view(world, known)
        order = _order(world, body)
        check_rules(world, order, body)
        refund = _accept(world, order, body)
    world.changed.set()
    return view(world, refund)


def look_up(world: World, out_refund_no: str) -> dict[str, Any]:
    """``GET /v3/refund/domestic/refunds/{out_refund_no}``."""
    settle_due(world)
    refund = find(world, out_refund_no)
    if refund is None:
        raise refusals.resource_unknown()
    return view(world, refund)


def find(world: World, out_refund_no: str) -> sqlite3.Row | None:
    """The refund as stored."""
    return world.db.row("SELECT * FROM refunds WHERE out_refund_no = ?", out_refund_no)


def settle_due(world: World) -> None:
    """Let every refund succeed whose time has come."""
    sql = "SELECT out_refund_no FROM refunds WHERE settle_at <= ? ORDER BY settle_at"
    for row in world.db.rows(sql, world.clock.now()):
        with world.db.transaction():
            _settle(world, row["out_refund_no"], "SUCCESS")


def move(world: World, out_refund_no: str, status: str) -> dict[str, Any]:
    """Decide a refund's outcome by hand. Raises :class:`IllegalMove`, or the 404 of an unknown one."""
    with world.db.transaction():
        refund = find(world, out_refund_no)
        if refund is None:
            raise refusals.resource_unknown()
        if status not in MOVES[refund["status"]]:
            raise IllegalMove(f"The refund is {refund['status']} and cannot become {status}.")
        moved = _settle(world, out_refund_no, status)
    return view(world, moved)


def view(world: World, refund: sqlite3.Row) -> dict[str, Any]:
    """The refund object of request and query; its state is called ``status`` here."""
    order = orders.find(world, refund["out_trade_no"])
    assert order is not None
    content: dict[str, Any] = {
        "refund_id": refund["refund_id"],
        "out_refund_no": refund["out_refund_no"],
        "transaction_id": order["transaction_id"],
        "out_trade_no": refund["out_trade_no"],
        "channel": "ORIGINAL",
        "user_received_account": RECEIVED_BY,
        "create_time": on_the_wire(refund["created_at"]),
        "status": refund["status"],
        "funds_account": refund["funds_account"],
        "amount": _amount(order, refund)
        | {
            "from": json.loads(refund["body"])["amount"].get("from", []),
            "settlement_total": order["total"],
            "settlement_refund": refund["amount"],
            "discount_refund": refund["coupon"],
            "currency": "CNY",
            "refund_fee": 0,
        },
    }
    if refund["status"] == "SUCCESS":
        content["success_time"] = on_the_wire(refund["done_at"])
    if refund["coupon"]:
        share = {"amount": order["coupon"], "refund_amount": refund["coupon"]}
        content["promotion_detail"] = [{"promotion_id": "109519", "scope": "GLOBAL", "type": "COUPON", **share}]
    return content


def _amount(order: sqlite3.Row, refund: sqlite3.Row) -> dict[str, Any]:
    return {
        "total": order["total"],
        "refund": refund["amount"],
        "payer_total": order["total"] - order["coupon"],
        "payer_refund": refund["amount"] - refund["coupon"],
    }


def _order(world: World, body: dict[str, Any]) -> sqlite3.Row:
    if "transaction_id" not in body and "out_trade_no" not in body:
        raise refusals.param_error("transaction_id和out_trade_no不能同时为空", field="/out_trade_no")
    sql = "SELECT * FROM orders WHERE (transaction_id = ? OR ? IS NULL) AND (out_trade_no = ? OR ? IS NULL)"
    by_id, by_number = body.get("transaction_id"), body.get("out_trade_no")
    order = world.db.row(sql, by_id, by_id, by_number, by_number)
    if order is None:
        raise refusals.resource_unknown("订单不存在")
    payer = users.find(world, order["payer"]) if order["payer"] else None
    if payer and payer.account_closed:
        raise refusals.Refusal(403, "USER_ACCOUNT_ABNORMAL", "用户帐号注销")
    return order


def _accept(world: World, order: sqlite3.Row, body: dict[str, Any]) -> sqlite3.Row:
    now = world.clock.now()
    amount = body["amount"]["refund"]
    world.db.insert(
        "refunds",
        {
            "out_refund_no": body["out_refund_no"],
            "refund_id": numbers.refund_id(now),
            "out_trade_no": order["out_trade_no"],
            "body": orders.canonical(body),
            "notify_url": body.get("notify_url"),
            "reason": body.get("reason"),
            "amount": amount,
            "coupon": coupon_share(world, order, amount),
            "funds_account": body.get("funds_account", "UNSETTLED"),
            "status": "PROCESSING",
            "created_at": now,
            "settle_at": now + world.knobs.refund_delay_s,
        },
    )
    world.db.write("UPDATE orders SET state = 'REFUND' WHERE out_trade_no = ?", order["out_trade_no"])
    _spend(world, amount)
    accepted = find(world, body["out_refund_no"])
    assert accepted is not None
    return accepted


def _spend(world: World, fen: int) -> None:
    """Take from the merchant's balance, or give back when negative; an unlimited one stays so."""
    if world.knobs.balance_fen is not None:
        world.knobs.balance_fen -= fen
        world.keep_knobs()


def _settle(world: World, out_refund_no: str, status: str) -> sqlite3.Row:
    """Set the outcome and, when the merchant gave a notify URL, write the notice."""
    now = world.clock.now()
    done_at = now if status == "SUCCESS" else None
    settle_at = now + world.knobs.refund_delay_s if status == "PROCESSING" else None
    sql = "UPDATE refunds SET status = ?, settle_at = ?, done_at = ? WHERE out_refund_no = ?"
    world.db.write(sql, status, settle_at, done_at, out_refund_no)
    refund = find(world, out_refund_no)
    assert refund is not None
    if status == "CLOSED":
        _spend(world, -refund["amount"])
    if status in SUMMARIES and refund["notify_url"]:
        outbox.post(
            world,
            kind="refund",
            subject=out_refund_no,
            url=refund["notify_url"],
            event_type=f"REFUND.{status}",
            summary=SUMMARIES[status],
            plaintext=json.dumps(_notified(world, refund), ensure_ascii=False),
        )
    return refund


def _notified(world: World, refund: sqlite3.Row) -> dict[str, Any]:
    """What a notification carries: the state is called ``refund_status`` here, and there is no currency."""
    order = orders.find(world, refund["out_trade_no"])
    assert order is not None
    content = {
        "mchid": world.keys.identity.mch_id,
        "out_trade_no": refund["out_trade_no"],
        "transaction_id": order["transaction_id"],
        "out_refund_no": refund["out_refund_no"],
        "refund_id": refund["refund_id"],
        "refund_status": refund["status"],
        "user_received_account": RECEIVED_BY,
        "amount": _amount(order, refund),
    }
    if refund["status"] == "SUCCESS":
        content["success_time"] = on_the_wire(refund["done_at"])
    return content
