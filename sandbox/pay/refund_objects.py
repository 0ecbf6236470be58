"""The refund as WeChat writes it: to whoever asks, and in a notification."""

import json
import sqlite3
from typing import Any

from sandbox.clock import on_the_wire
from sandbox.pay import book, orders, parties
from sandbox.pay.overseas import objects
from sandbox.world import World

RECEIVED_BY = "支付用户零钱"


def view(world: World, refund: sqlite3.Row) -> dict[str, Any]:
    """The refund object of request and query; its state is called ``status`` here."""
    order = orders.find(world, refund["out_trade_no"])
    assert order is not None
    content: dict[str, Any] = {
        "refund_id": refund["refund_id"],
        "out_refund_no": refund["out_refund_no"],
        "transaction_id": order["transaction_id"],
        "out_trade_no": refund["out_trade_no"],
        "channel": refund["channel"],
        "user_received_account": refund["received_by"] or RECEIVED_BY,
        "create_time": on_the_wire(refund["created_at"]),
        "status": refund["status"],
        "funds_account": refund["funds_account"],
        "amount": _amount(order, refund)
        | {
            "from": json.loads(refund["body"])["amount"].get("from", []),
            "settlement_total": book.settlement_fen(order),
            "settlement_refund": book.refunded_fen(refund, order),
            "discount_refund": refund["coupon"],
            "currency": "CNY",
            "refund_fee": refund["fee"],
        },
    }
    if refund["status"] == "SUCCESS":
        content["success_time"] = on_the_wire(refund["done_at"])
    if refund["coupon"]:
        kind = "COUPON" if order["coupon_kind"] == "CASH" else "DISCOUNT"
        share = {"amount": order["coupon"], "refund_amount": refund["coupon"]}
        content["promotion_detail"] = [{"promotion_id": "109519", "scope": "GLOBAL", "type": kind, **share}]
    return content


def _amount(order: sqlite3.Row, refund: sqlite3.Row) -> dict[str, Any]:
    return {
        "total": order["total"],
        "refund": refund["amount"],
        "payer_total": order["total"] - order["coupon"],
        "payer_refund": refund["amount"] - refund["coupon"],
    }


def told(world: World, refund: sqlite3.Row) -> dict[str, Any]:
    """What a notification carries: the state is called ``refund_status`` here, and there is no currency."""
    order = orders.find(world, refund["out_trade_no"])
    assert order is not None
    content = {
        **parties.merchants(world),
        "out_trade_no": refund["out_trade_no"],
        "transaction_id": order["transaction_id"],
        "out_refund_no": refund["out_refund_no"],
        "refund_id": refund["refund_id"],
        "refund_status": refund["status"],
        "user_received_account": refund["received_by"] or RECEIVED_BY,
        "amount": _amount(order, refund),
    }
    if refund["status"] == "SUCCESS":
        content["success_time"] = on_the_wire(refund["done_at"])
    if world.keys.identity.region == "global":
        return objects.told(world, content)
    return content
