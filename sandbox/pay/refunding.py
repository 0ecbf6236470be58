"""The rules a refund must keep before it is accepted."""

import sqlite3
from typing import Any

from sandbox.pay import book
from sandbox.pay.refusals import Refusal, invalid
from sandbox.pay.sharing import refunding as shares
from sandbox.world import World

MOST_PARTS = 50
YEAR_S = 365 * 86400


def check_rules(world: World, order: sqlite3.Row, body: dict[str, Any]) -> None:
    """Raise what WeChat would answer when the order cannot give this refund."""
    amount = body["amount"]
    if order["state"] not in {"SUCCESS", "REFUND"}:
        raise invalid("订单未支付，不能退款")
    if amount["total"] != order["total"]:
        raise invalid("您的请求参数与订单信息不一致")
    if "from" in amount and sum(part["amount"] for part in amount["from"]) != amount["refund"]:
        raise invalid("出资金额之和与退款金额不一致")
    now = world.clock.now()
    if now > order["paid_at"] + YEAR_S:
        raise invalid("订单已经超过退款期限")
    parts = world.db.rows("SELECT * FROM refunds WHERE out_trade_no = ? ORDER BY created_at", order["out_trade_no"])
    if len(parts) >= MOST_PARTS:
        raise invalid("部分退款次数超过限制，一笔订单最多支持50次部分退款")
    if parts and now < parts[-1]["created_at"] + world.knobs.refund_gap_s:
        raise invalid("同一笔订单的多次部分退款需间隔1分钟")
    if amount["refund"] > order["total"] - sum(part["amount"] for part in parts if part["status"] != "CLOSED"):
        raise invalid("申请退款金额大于订单剩余可退金额")
    shares.check(world, order, amount["refund"])
    coupon = coupon_share(world, order, amount["refund"])
    if not book.covers(world, net_fen(order, amount["refund"], coupon, fee_share(world, order, amount["refund"]))):
        raise Refusal(403, "NOT_ENOUGH", "基本账户余额不足，请充值后重新发起")


def coupon_share(world: World, order: sqlite3.Row, amount: int) -> int:
    """The coupon's part of a refund in fen: proportional, and all parts together exactly the coupon."""
    gone, coupon, _ = _gone(world, order)
    return int((gone + amount) * order["coupon"] // order["total"] - coupon)


def fee_share(world: World, order: sqlite3.Row, amount: int) -> int:
    """The fee that comes back with a refund in fen: proportional, and with all parts together exactly the fee."""
    gone, _, fee = _gone(world, order)
    return int((2 * (gone + amount) * order["fee"] + order["total"]) // (2 * order["total"]) - fee)


def net_fen(order: sqlite3.Row, amount: int, coupon: int, fee: int) -> int:
    """What a refund takes from the merchant's money."""
    return amount - (coupon if order["coupon_kind"] == "NOCASH" else 0) - fee


def _gone(world: World, order: sqlite3.Row) -> tuple[int, int, int]:
    """What was given back before: amount, coupon and fee."""
    sql = """SELECT sum(amount) AS amount, sum(coupon) AS coupon, sum(fee) AS fee FROM refunds
             WHERE out_trade_no = ? AND status != 'CLOSED'"""
    row = world.db.row(sql, order["out_trade_no"])
    assert row is not None
    return row["amount"] or 0, row["coupon"] or 0, row["fee"] or 0
