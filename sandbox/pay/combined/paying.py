"""The buyer pays a combination by one tap: every sub-order is paid, and one notice tells of all."""

import json
from typing import Any

from sandbox.notices import outbox
from sandbox.pay import payers
from sandbox.pay.book import CouponKind
from sandbox.pay.combined import combinations
from sandbox.pay.combined.objects import view
from sandbox.pay.payers import CannotPay, NoSuchPayment
from sandbox.world import World


def combination_of_prepay(world: World, prepay_id: str) -> str | None:
    """The combination behind what a Mini Program was handed, if it is one."""
    found = world.db.row("SELECT combine_out_trade_no FROM combined_prepays WHERE prepay_id = ?", prepay_id)
    return str(found["combine_out_trade_no"]) if found else None


def pay(
    world: World,
    combine_out_trade_no: str,
    *,
    openid: str | None = None,
    prepay_id: str | None = None,
    coupon_fen: int = 0,
    coupon_kind: CouponKind = "CASH",
    raced: bool = False,
) -> dict[str, Any]:
    """Pay every sub-order and write the one notice in the same transaction; answers the combination.

    A coupon is shared among the sub-orders by their amounts. ``raced`` as for an ordinary order.
    Raises :class:`NoSuchPayment` or :class:`CannotPay`.
    """
    with world.db.transaction():
        combination = combinations.find(world, combine_out_trade_no)
        if combination is None:
            raise NoSuchPayment(f"No order {combine_out_trade_no}.")
        parts = combinations.parts(world, combine_out_trade_no)
        for part in parts:
            payers.check_payable(world, part, raced=raced)
        if not raced:
            _check_prepay(world, combine_out_trade_no, prepay_id)
        payer = payers.who_pays(world, combination["openid"], openid)
        for part, share in zip(parts, _shares([part["total"] for part in parts], coupon_fen), strict=True):
            payers.receive(world, part["out_trade_no"], payer, share, coupon_kind)
        content = view(world, combination, combinations.parts(world, combine_out_trade_no))
        outbox.post(
            world,
            kind="transaction",
            subject=combine_out_trade_no,
            url=combination["notify_url"],
            event_type="TRANSACTION.SUCCESS",
            summary="支付成功",
            plaintext=json.dumps(content, ensure_ascii=False),
        )
    return content


def cancel(world: World, combine_out_trade_no: str) -> None:
    """The payer closes the sheet: nothing is paid, and all of it may be paid later."""
    with world.db.transaction():
        states = {part["state"] for part in combinations.parts(world, combine_out_trade_no)}
        if states != {"NOTPAY"}:
            raise CannotPay(f"The order is {min(states)}: there is no payment sheet to close.")
        sql = "UPDATE combinations SET cancelled_at = ? WHERE combine_out_trade_no = ?"
        world.db.write(sql, world.clock.now(), combine_out_trade_no)


def _check_prepay(world: World, combine_out_trade_no: str, prepay_id: str | None) -> None:
    sql = """SELECT * FROM combined_prepays WHERE combine_out_trade_no = ? AND (prepay_id = ? OR ? IS NULL)
             ORDER BY rowid DESC"""
    payers.check_prepay(world, world.db.row(sql, combine_out_trade_no, prepay_id, prepay_id))


def _shares(totals: list[int], coupon_fen: int) -> list[int]:
    """The coupon in fen, shared by amounts so that the shares add up to it exactly."""
    whole = sum(totals)
    if not 0 <= coupon_fen < whole:
        raise CannotPay("The coupon must leave at least one fen to pay.")
    shares, gone = [], 0
    for total in totals:
        before, gone = gone, gone + total
        shares.append(coupon_fen * gone // whole - coupon_fen * before // whole)
    return shares
