"""The "transaction" object: what a query answers and a payment notification carries."""

import sqlite3
from typing import Any

from sandbox.clock import on_the_wire
from sandbox.pay import parties
from sandbox.pay.overseas import objects
from sandbox.world import World

DESCRIPTIONS = {
    "NOTPAY": "订单未支付",
    "SUCCESS": "支付成功",
    "REFUND": "转入退款",
    "CLOSED": "订单已关闭",
    "USERPAYING": "用户支付中，需要输入支付密码",
    "PAYERROR": "支付失败",
    "REVOKED": "订单已撤销",
}


def view(world: World, order: sqlite3.Row) -> dict[str, Any]:
    """What is not known yet is absent, never null."""
    if world.keys.identity.region == "global":
        return objects.transaction(world, order)
    amount: dict[str, Any] = {"total": order["total"], "currency": "CNY"}
    content: dict[str, Any] = {
        **parties.of_order(world, order),
        "out_trade_no": order["out_trade_no"],
        "trade_state": order["state"],
        "trade_state_desc": DESCRIPTIONS[order["state"]],
        "amount": amount,
    }
    if order["transaction_id"] is None:
        return content
    amount |= {"payer_total": order["total"] - order["coupon"], "payer_currency": "CNY"}
    content |= {
        "transaction_id": order["transaction_id"],
        "trade_type": order["trade_type"],
        "bank_type": order["bank_type"],
        "success_time": on_the_wire(order["paid_at"]),
        "payer": parties.payer(world, order),
    }
    if order["attach"]:
        content["attach"] = order["attach"]
    if order["coupon"]:
        content["promotion_detail"] = [coupon(order["coupon"], order["coupon_kind"])]
    return content


def coupon(fen: int, kind: str = "CASH") -> dict[str, Any]:
    """A coupon of the merchant's own: prefunded (CASH), or one by which the merchant receives less (NOCASH)."""
    return {
        "coupon_id": "109519",
        "name": "沙箱代金券",
        "scope": "GLOBAL",
        "type": kind,
        "amount": fen,
        "stock_id": "931386",
        "wechatpay_contribute": 0,
        "merchant_contribute": fen,
        "other_contribute": 0,
        "currency": "CNY",
    }
