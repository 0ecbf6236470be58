"""Transactions and refunds as the overseas calls write them: the number is called ``id``, and there is a rate."""

import sqlite3
from typing import Any

from sandbox.clock import on_the_wire
from sandbox.pay.overseas import rates
from sandbox.world import World

DESCRIPTIONS = {"NOTPAY": "订单未支付", "SUCCESS": "支付成功", "REFUND": "转入退款", "CLOSED": "订单已关闭"}
REFUND_STATES = {"CLOSED": "REFUNDCLOSE"}
"""The other states have the names they have at home."""
RENAMED = {"user_received_account": "recv_account", "funds_account": "fund_source", "refund_id": "id"}


def transaction(world: World, order: sqlite3.Row) -> dict[str, Any]:
    """What is not known yet is absent, never null."""
    identity = world.keys.identity
    amount: dict[str, Any] = {"total": order["total"], "currency": identity.currency}
    content: dict[str, Any] = {
        "appid": identity.app_id,
        "mchid": identity.mch_id,
        "out_trade_no": order["out_trade_no"],
        "trade_state": order["state"],
        "trade_state_desc": DESCRIPTIONS.get(order["state"], order["state"]),
        "amount": amount,
    }
    if order["transaction_id"] is None:
        return content
    rate = rates.of(world, order["out_trade_no"])
    amount |= {
        "payer_total": rates.yuan_fen(rate, order["total"] - order["coupon"]),
        "payer_currency": "CNY",
        "exchange_rate": {"type": "SETTLEMENT_RATE", "rate": rate},
    }
    content |= {
        "id": order["transaction_id"],
        "trade_type": order["trade_type"],
        "bank_type": order["bank_type"],
        "success_time": on_the_wire(order["paid_at"]),
        "payer": {"openid": order["payer"]},
    }
    if order["attach"]:
        content["attach"] = order["attach"]
    if order["coupon"]:
        share = {"amount": order["coupon"], "currency": identity.currency}
        content["promotion_detail"] = [
            {"promotion_id": "109519", "name": "沙箱代金券", "scope": "GLOBAL", "type": "COUPON", **share}
        ]
    return content


def refund(world: World, domestic: dict[str, Any]) -> dict[str, Any]:
    """The refund object of request and query, from the one at home."""
    content = {RENAMED.get(name, name): value for name, value in domestic.items() if name != "promotion_detail"}
    content["status"] = REFUND_STATES.get(domestic["status"], domestic["status"])
    content["amount"] = _amount(world, domestic)
    return content


def told(world: World, domestic: dict[str, Any]) -> dict[str, Any]:
    """What a refund's notification carries, from the one at home."""
    content = {RENAMED.get(name, name): value for name, value in domestic.items() if name != "refund_id"}
    content["refund_id"] = domestic["refund_id"]
    content["refund_status"] = REFUND_STATES.get(domestic["refund_status"], domestic["refund_status"])
    content["amount"] = _amount(world, domestic)
    return content


def _amount(world: World, domestic: dict[str, Any]) -> dict[str, Any]:
    rate = rates.of(world, domestic["out_trade_no"])
    amount = domestic["amount"]
    return {
        "total": amount["total"],
        "refund": amount["refund"],
        "currency": world.keys.identity.currency,
        "payer_total": rates.yuan_fen(rate, amount["payer_total"]),
        "payer_refund": rates.yuan_fen(rate, amount["payer_refund"]),
        "payer_currency": "CNY",
        "exchange_rate": {"type": "SETTLEMENT_RATE", "rate": rate},
    }
