"""The merchant's money book: every fen that comes or goes, appended once.

Fees are whole fen of each payment, rounded half up, taken at once from what comes in (a setting shows them as rows of
their own); a refund brings its part back, and all parts together bring back exactly the fee. A refund is booked when it
succeeds; while it is under way its money is held.
"""

import secrets
import sqlite3
from dataclasses import dataclass
from typing import Literal

from sandbox.clock import day
from sandbox.world import World

Kind = Literal[
    "payment", "refund", "fee", "fee_returned", "transfer", "share", "share_returned", "withdrawal", "top_up"
]
Account = Literal["BASIC", "OPERATION", "FEES"]
CouponKind = Literal["CASH", "NOCASH"]

OPENING_FEN = 100_000_000
"""What every account begins with: a million yuan, as if it had been earned before this world began."""
WHOLE = 10_000


@dataclass(frozen=True)
class Business:
    """What a kind is called in the fund-flow bill: 业务名称 and 业务类型."""

    name: str
    type: str


BUSINESSES: dict[str, Business] = {
    "payment": Business("交易", "交易"),
    "refund": Business("退款", "退款"),
    "fee": Business("交易手续费", "扣除交易手续费"),
    "fee_returned": Business("交易手续费", "退还交易手续费"),
    "transfer": Business("商家转账", "商家转账"),
    "share": Business("分账", "分账"),
    "share_returned": Business("分账回退", "分账回退"),
    "withdrawal": Business("提现", "提现"),
    "top_up": Business("充值", "充值"),
}


def book(
    world: World,
    kind: Kind,
    fen: int,
    *,
    business_id: str,
    voucher: str = "",
    note: str = "",
    at: float | None = None,
    account: Account = "BASIC",
    applicant: str = "system",
    held: bool = False,
) -> None:
    """Write one movement, in the caller's transaction: ``fen`` is positive when it comes in.

    ``business_id`` is WeChat's number of what it is about, ``voucher`` the merchant's. ``held``: it was taken from what
    is available before, when it was promised. Nothing is written for 0 fen.
    """
    if fen == 0:
        return
    moment = world.clock.now() if at is None else at
    world.db.insert(
        "movements",
        {
            "at": moment,
            "account": account,
            "business_id": business_id,
            "flow_id": f"4200{secrets.randbelow(10**6):06d}{day(moment)}{secrets.randbelow(10**10):010d}",
            "kind": kind,
            "amount": fen,
            "applicant": applicant,
            "note": note,
            "voucher": voucher,
        },
    )
    if account == "BASIC" and not held:
        hold(world, -fen)


def balance_fen(world: World, account: Account = "BASIC", *, before: float | None = None) -> int:
    """What the account holds, promised or not; or held at a moment."""
    sql = "SELECT sum(amount) FROM movements WHERE account = ? AND (? IS NULL OR at < ?)"
    return OPENING_FEN + world.db.number(sql, account, before, before)


def covers(world: World, fen: int) -> bool:
    """Whether ``fen`` may leave now: always, unless what is available is counted (knob ``balance_fen``)."""
    return world.knobs.balance_fen is None or fen <= world.knobs.balance_fen


def hold(world: World, fen: int) -> None:
    """Take from what is available, or give back when negative; where it is not counted, nothing happens."""
    if world.knobs.balance_fen is not None:
        world.knobs.balance_fen = max(world.knobs.balance_fen - fen, 0)
        world.keep_knobs()


def settlement_fen(order: sqlite3.Row) -> int:
    """What a payment settles at (应结订单金额): all of it, less a coupon that nobody has funded before."""
    return int(order["total"]) - (int(order["coupon"]) if order["coupon_kind"] == "NOCASH" else 0)


def fee_fen(fen: int, rate: int) -> int:
    """The fee of ``fen`` at ``rate`` hundredths of a percent: rounded half up."""
    return (fen * rate + WHOLE // 2) // WHOLE


def receive(world: World, out_trade_no: str) -> sqlite3.Row:
    """A payment has come in; answers the order with its fee."""
    order = _order(world, out_trade_no)
    gross, rate = settlement_fen(order), world.knobs.fee_rate
    fee = fee_fen(gross, rate)
    world.db.write("UPDATE orders SET fee = ?, fee_rate = ? WHERE out_trade_no = ?", fee, rate, out_trade_no)
    about = {"business_id": order["transaction_id"], "voucher": order["out_trade_no"]}
    if world.knobs.fee_rows == "separate":
        book(world, "payment", gross, note=f"结算总金额{yuan(gross)}元", at=order["paid_at"], **about)
        book(world, "fee", -fee, note=f"手续费{yuan(fee)}元", at=order["paid_at"], **about)
    else:
        note = f"结算总金额{yuan(gross)}元;含手续费{yuan(fee)}元"
        book(world, "payment", gross - fee, note=note, at=order["paid_at"], **about)
    return _order(world, out_trade_no)


def _order(world: World, out_trade_no: str) -> sqlite3.Row:
    order = world.db.row("SELECT * FROM orders WHERE out_trade_no = ?", out_trade_no)
    assert order is not None
    return order


def give_back(world: World, refund: sqlite3.Row, order: sqlite3.Row) -> None:
    """A refund has succeeded: its money, held since it was accepted, is gone."""
    gross, fee = refunded_fen(refund, order), int(refund["fee"])
    by = f"{world.keys.identity.mch_id}{'API' if refund['origin'] == 'API' else ''}"
    about = {"business_id": refund["refund_id"], "voucher": refund["out_refund_no"], "applicant": by}
    at = refund["done_at"]
    if world.knobs.fee_rows == "separate":
        book(world, "refund", -gross, note=f"退款总金额{yuan(gross)}元", at=at, held=True, **about)
        book(world, "fee_returned", fee, note=f"手续费{yuan(fee)}元", at=at, held=True, **about)
    else:
        note = f"退款总金额{yuan(gross)}元;含手续费{yuan(fee)}元"
        book(world, "refund", fee - gross, note=note, at=at, held=True, **about)


def refunded_fen(refund: sqlite3.Row, order: sqlite3.Row) -> int:
    """What a refund takes from the merchant before its fee comes back."""
    return int(refund["amount"]) - (int(refund["coupon"]) if order["coupon_kind"] == "NOCASH" else 0)


def yuan(fen: int) -> str:
    """Fen as yuan with two decimals.

    >>> yuan(-4205)
    '-42.05'
    """
    sign, whole = ("-" if fen < 0 else ""), abs(fen)
    return f"{sign}{whole // 100}.{whole % 100:02d}"
