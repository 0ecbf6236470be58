"""What the buyer does with a phone: pays, or taps it away."""

import json
import sqlite3
from typing import Any

from sandbox.miniprogram import users
from sandbox.notices import outbox
from sandbox.pay import book, numbers, orders
from sandbox.pay.book import CouponKind
from sandbox.pay.overseas import rates
from sandbox.pay.sharing import frozen
from sandbox.pay.transactions import view
from sandbox.world import World


class CannotPay(Exception):
    """The payment sheet refuses; ``args[0]`` says why."""


class NoSuchPayment(Exception):
    """No order, or no prepay, has this number."""


def order_of_prepay(world: World, prepay_id: str) -> str:
    """The order number behind what a Mini Program was handed. Raises :class:`NoSuchPayment`."""
    found = world.db.row("SELECT out_trade_no FROM prepays WHERE prepay_id = ?", prepay_id)
    if found is None:
        raise NoSuchPayment(f"No prepay {prepay_id}.")
    return str(found["out_trade_no"])


def pay(
    world: World,
    out_trade_no: str,
    *,
    openid: str | None = None,
    prepay_id: str | None = None,
    coupon_fen: int = 0,
    coupon_kind: CouponKind = "CASH",
    raced: bool = False,
) -> dict[str, Any]:
    """Pay the order and write the notice in the same transaction; answers the transaction.

    ``raced``: the buyer had confirmed in the moment before the merchant's close, or before the time was over, and the
    money lands after it. WeChat Pay promises no order between the two: the success counts.

    Raises :class:`NoSuchPayment` or :class:`CannotPay`.
    """
    with world.db.transaction():
        order = orders.find_single(world, out_trade_no)
        if order is None:
            raise NoSuchPayment(f"No order {out_trade_no}.")
        check_payable(world, order, raced=raced)
        if not raced:
            check_prepay(world, _prepay(world, out_trade_no, prepay_id))
        payer = who_pays(world, order["openid"], openid)
        if not 0 <= coupon_fen < order["total"]:
            raise CannotPay("The coupon must leave at least one fen to pay.")
        paid = receive(world, out_trade_no, payer, coupon_fen, coupon_kind)
        transaction = view(world, paid)
        outbox.post(
            world,
            kind="transaction",
            subject=out_trade_no,
            url=paid["notify_url"],
            event_type="TRANSACTION.SUCCESS",
            summary="支付成功",
            plaintext=json.dumps(transaction, ensure_ascii=False),
        )
    return transaction


def receive(
    world: World, out_trade_no: str, payer: str, coupon_fen: int, coupon_kind: CouponKind = "CASH"
) -> sqlite3.Row:
    """The money of one order is here; in the caller's transaction, who has looked whether it may be. Answers the order."""
    now = world.clock.now()
    sql = """UPDATE orders SET state = 'SUCCESS', transaction_id = ?, paid_at = ?, payer = ?, bank_type = ?, coupon = ?,
             coupon_kind = ? WHERE out_trade_no = ?"""
    transaction_id = numbers.transaction_id(now)
    world.db.write(sql, transaction_id, now, payer, "OTHERS", coupon_fen, coupon_kind, out_trade_no)
    paid = book.receive(world, out_trade_no)
    frozen.freeze(world, paid)
    rates.fix(world, paid)
    return paid


def cancel(world: World, out_trade_no: str) -> None:
    """The payer closes the sheet: the order stays unpaid and may be paid later."""
    with world.db.transaction():
        order = orders.find(world, out_trade_no)
        if order is None:
            raise NoSuchPayment(f"No order {out_trade_no}.")
        if order["state"] != "NOTPAY":
            raise CannotPay(f"The order is {order['state']}: there is no payment sheet to close.")
        world.db.write("UPDATE orders SET cancelled_at = ? WHERE out_trade_no = ?", world.clock.now(), out_trade_no)


def check_payable(world: World, order: sqlite3.Row, *, raced: bool) -> None:
    """Raise :class:`CannotPay` for an order that is paid or closed, or whose time is over, unless it ``raced``."""
    if raced and order["state"] in {"NOTPAY", "CLOSED"}:
        return
    if order["state"] != "NOTPAY":
        raise CannotPay(f"The order is {order['state']}, only NOTPAY can be paid.")
    if order["expires_at"] <= world.clock.now():
        raise CannotPay("The order's time_expire has passed.")


def _prepay(world: World, out_trade_no: str, prepay_id: str | None) -> sqlite3.Row | None:
    sql = "SELECT * FROM prepays WHERE out_trade_no = ? AND (prepay_id = ? OR ? IS NULL) ORDER BY rowid DESC"
    return world.db.row(sql, out_trade_no, prepay_id, prepay_id)


def check_prepay(world: World, prepay: sqlite3.Row | None) -> None:
    """Raise :class:`NoSuchPayment` for none, :class:`CannotPay` for one that was replaced or is too old."""
    if prepay is None:
        raise NoSuchPayment("No such prepay of this order.")
    if prepay["replaced"]:
        raise CannotPay("The code was replaced by a newer one.")
    if prepay["valid_until"] <= world.clock.now():
        raise CannotPay("The prepay_id or code has expired; the merchant must order again.")


def who_pays(world: World, named: str | None, openid: str | None) -> str:
    """JSAPI orders name their payer; the others belong to whoever pays first."""
    if named is not None:
        if openid not in {None, named}:
            raise CannotPay("The order belongs to another payer's openid.")
        return named
    if openid is None:
        return users.meet(world, label="passer-by").openid
    if users.find(world, openid) is None:
        raise CannotPay(f"Nobody here has the openid {openid}.")
    return openid
