"""The combination as a query answers and a notification carries it: one object, its sub-orders inside."""

import json
import sqlite3
from typing import Any

from sandbox.clock import on_the_wire
from sandbox.pay import parties
from sandbox.pay.transactions import coupon
from sandbox.world import World


def view(world: World, combination: sqlite3.Row, parts: list[sqlite3.Row]) -> dict[str, Any]:
    """What is not known yet is absent, never null."""
    identity = world.keys.identity
    asked = json.loads(combination["body"])
    content: dict[str, Any] = {
        "combine_appid": identity.app_id,
        "combine_mchid": identity.mch_id,
        "combine_out_trade_no": combination["combine_out_trade_no"],
        "sub_orders": [_part(world, part) for part in parts],
    }
    if device := asked.get("scene_info", {}).get("device_id"):
        content["scene_info"] = {"device_id": device}
    if payer := next((part["payer"] for part in parts if part["payer"]), None):
        content["combine_payer_info"] = {"openid": payer}
    return content


def _part(world: World, order: sqlite3.Row) -> dict[str, Any]:
    amount: dict[str, Any] = {"total_amount": order["total"], "currency": "CNY"}
    content: dict[str, Any] = {
        "mchid": world.keys.identity.mch_id,
        **parties.of(world),
        "out_trade_no": order["out_trade_no"],
        "trade_state": order["state"],
        "attach": order["attach"],
        "amount": amount,
    }
    if order["transaction_id"] is None:
        return content
    amount |= {"payer_amount": order["total"] - order["coupon"], "payer_currency": "CNY"}
    content |= {
        "transaction_id": order["transaction_id"],
        "trade_type": order["trade_type"],
        "bank_type": order["bank_type"],
        "success_time": on_the_wire(order["paid_at"]),
    }
    if order["coupon"]:
        content["promotion_detail"] = [coupon(order["coupon"], order["coupon_kind"])]
    return content
