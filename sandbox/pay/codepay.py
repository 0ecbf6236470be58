"""The payer's code, scanned at a till: paid at once, or after a password; undone by a reverse.

USERPAYING → SUCCESS | PAYERROR        any → REVOKED (what was paid is refunded)
"""

import sqlite3
from typing import Any

from sandbox.miniprogram import codes, users
from sandbox.pay import book, numbers, orders, payers, refunding, refunds, refusals
from sandbox.pay.book import CouponKind
from sandbox.pay.payers import CannotPay
from sandbox.pay.transactions import view
from sandbox.world import World

TRADE_TYPE = "MICROPAY"
SOONEST_REVERSE_S = 15
LATEST_REVERSE_S = 7 * 86400


class UserPaying(Exception):
    """202: the payer enters a password; ask again."""


def pay(world: World, body: dict[str, Any]) -> dict[str, Any]:
    """``POST /v3/pay/transactions/codepay``: answers the transaction. Nothing is notified, here or later.

    Raises :class:`UserPaying` while the payer enters a password, unless the knob ``user_paying`` wants a 200.
    """
    orders.check_appid(world, body["appid"])
    with world.db.transaction():
        order = orders.find(world, body["out_trade_no"])
        if order is None:
            order = _start(world, body)
        else:
            _meet_again(world, order, body)
    if order["state"] == "USERPAYING" and world.knobs.user_paying == "202":
        raise UserPaying
    return view(world, order)


def reverse(world: World, out_trade_no: str, body: dict[str, Any]) -> dict[str, Any]:
    """``POST …/out-trade-no/{out_trade_no}/reverse``: nobody pays any more, and what was paid goes back. Again is fine."""
    orders.check_appid(world, body["appid"])
    with world.db.transaction():
        order = orders.find_single(world, out_trade_no)
        if order is None:
            raise refusals.order_unknown()
        _check_reverse(world, order)
        if order["state"] == "SUCCESS":
            _refund_all(world, order)
        elif order["state"] != "REVOKED":
            sql = "UPDATE orders SET state = 'REVOKED', closed_at = ? WHERE out_trade_no = ?"
            world.db.write(sql, world.clock.now(), out_trade_no)
    world.changed.set()
    return {"appid": body["appid"], "mchid": body["mchid"], "out_trade_no": out_trade_no}


def is_one(world: World, out_trade_no: str) -> bool:
    """Whether this number is a payment by code."""
    order = orders.find(world, out_trade_no)
    return order is not None and order["trade_type"] == TRADE_TYPE


def enter_password(
    world: World, out_trade_no: str, *, coupon_fen: int = 0, coupon_kind: CouponKind = "CASH"
) -> dict[str, Any]:
    """The payer enters the password; answers the transaction. Raises :class:`payers.CannotPay`."""
    with world.db.transaction():
        order = _waiting(world, out_trade_no)
        if not 0 <= coupon_fen < order["total"]:
            raise CannotPay("The coupon must leave at least one fen to pay.")
        return view(world, payers.receive(world, out_trade_no, order["openid"], coupon_fen, coupon_kind))


def tap_away(world: World, out_trade_no: str) -> None:
    """The payer does not: PAYERROR. Raises :class:`payers.CannotPay`."""
    with world.db.transaction():
        _waiting(world, out_trade_no)
        sql = "UPDATE orders SET state = 'PAYERROR', cancelled_at = ? WHERE out_trade_no = ?"
        world.db.write(sql, world.clock.now(), out_trade_no)


def _waiting(world: World, out_trade_no: str) -> sqlite3.Row:
    order = orders.find(world, out_trade_no)
    assert order is not None
    if order["state"] != "USERPAYING":
        raise CannotPay(f"The order is {order['state']}, only USERPAYING waits for a password.")
    return order


def _start(world: World, body: dict[str, Any]) -> sqlite3.Row:
    now, number = world.clock.now(), body["out_trade_no"]
    payer = _payer(world, body["payer"]["auth_code"])
    state = {"at_once": "NOTPAY", "password": "USERPAYING", "error": "PAYERROR"}[world.knobs.code_payment]
    world.db.insert(
        "orders",
        {
            "out_trade_no": number,
            "trade_type": TRADE_TYPE,
            "body": orders.canonical(body),
            "description": body["description"],
            "attach": body.get("attach"),
            "notify_url": "",
            "total": body["amount"]["total"],
            "openid": payer.openid,
            "state": state,
            "created_at": now,
            "expires_at": now + orders.LIFE_S,
            "closes_at": now + orders.LIFE_S,
        },
    )
    if state == "NOTPAY":
        payers.receive(world, number, payer.openid, 0)
    order = orders.find(world, number)
    assert order is not None
    return order


def _payer(world: World, auth_code: str) -> users.User:
    """Whose code it is; it is used up by this, whatever becomes of the payment."""
    found = world.db.row("SELECT * FROM codes WHERE code = ? AND kind = 'payment'", auth_code)
    if found is None:
        raise refusals.invalid("付款码无效，请重新扫码")
    if found["used_at"] is not None or world.clock.now() > found["created_at"] + codes.SHOWN_S:
        raise refusals.invalid("二维码已过期，请用户在微信上刷新后再试")
    payer = users.find(world, found["openid"])
    assert payer is not None
    if payer.account_closed:
        raise refusals.Refusal(403, "USER_ACCOUNT_ABNORMAL", "用户帐号注销")
    world.db.write("UPDATE codes SET used_at = ? WHERE code = ?", world.clock.now(), auth_code)
    return payer


def _meet_again(world: World, order: sqlite3.Row, body: dict[str, Any]) -> None:
    """A payment that is still under way may be asked for again, as it was."""
    if order["state"] in {"SUCCESS", "REFUND"}:
        raise refusals.order_paid()
    if order["state"] != "USERPAYING":
        raise refusals.order_closed()
    if order["body"] != orders.canonical(body):
        raise orders.number_used(world)


def _check_reverse(world: World, order: sqlite3.Row) -> None:
    age_s = world.clock.now() - order["created_at"]
    if order["trade_type"] != TRADE_TYPE:
        raise refusals.invalid("仅付款码支付订单支持撤销")
    if order["state"] == "REVOKED":
        return
    if age_s < SOONEST_REVERSE_S:
        raise refusals.invalid("支付请求15秒后才能撤销，请稍后再试")
    if age_s > LATEST_REVERSE_S:
        raise refusals.invalid("订单已超过7天，不能撤销")
    if order["state"] == "REFUND":
        raise refusals.invalid("订单已发生退款，不能撤销，请使用退款接口")


def _refund_all(world: World, order: sqlite3.Row) -> None:
    total = order["total"]
    coupon, fee = refunding.coupon_share(world, order, total), refunding.fee_share(world, order, total)
    if not book.covers(world, refunding.net_fen(order, total, coupon, fee)):
        raise refusals.Refusal(403, "NOT_ENOUGH", "基本账户余额不足，请充值后重新发起")
    number = numbers.refund_id(world.clock.now())  # the merchant has given none
    body = {"out_refund_no": number, "amount": {"refund": total, "total": total, "currency": "CNY"}}
    refunds.accept(world, order, body, origin="REVERSE", state="REVOKED")
