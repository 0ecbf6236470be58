"""Refunds: accepted, looked up, and settled a little later.

PROCESSING → SUCCESS | ABNORMAL | CLOSED        ABNORMAL → PROCESSING | SUCCESS | CLOSED
"""

import json
import sqlite3
from typing import Any

from sandbox.miniprogram import users
from sandbox.notices import outbox
from sandbox.pay import book, numbers, orders, parties, refusals
from sandbox.pay.refund_objects import told, view
from sandbox.pay.refunding import check_rules, coupon_share, fee_share, net_fen
from sandbox.world import World

MOVES = {
    "PROCESSING": {"SUCCESS", "ABNORMAL", "CLOSED"},
    "ABNORMAL": {"PROCESSING", "SUCCESS", "CLOSED"},
    "SUCCESS": set[str](),
    "CLOSED": set[str](),
}
SUMMARIES = {"SUCCESS": "退款成功", "ABNORMAL": "退款异常", "CLOSED": "退款关闭"}


class IllegalMove(Exception):
    """The refund cannot go from its status to the wanted one."""


def request(world: World, body: dict[str, Any]) -> dict[str, Any]:
    """``POST /v3/refund/domestic/refunds``. The same number with the same parameters answers the refund as it is now."""
    _check_sub(world, body)
    with world.db.transaction():
        known = find(world, body["out_refund_no"])
        if known is not None:
            if known["body"] != orders.canonical(body):
                raise refusals.invalid("您的请求参数与订单信息不一致", number=268498688)
            return view(world, known)
        order = _order(world, body)
        check_rules(world, order, body)
        refund = accept(world, order, body)
    world.changed.set()
    return view(world, refund)


def by_hand(
    world: World, out_trade_no: str, fen: int, *, reason: str | None = None, notify_url: str | None = None
) -> dict[str, Any]:
    """A refund made in the merchant's portal: its number is WeChat's, and the merchant's program has never heard of it.

    Raises what the API would refuse.
    """
    with world.db.transaction():
        order = _order(world, {"out_trade_no": out_trade_no})
        now = world.clock.now()
        body = {
            "out_trade_no": out_trade_no,
            "out_refund_no": f"{world.keys.identity.mch_id}{numbers.refund_id(now)}",
            "amount": {"refund": fen, "total": order["total"], "currency": "CNY"},
            **({"reason": reason} if reason else {}),
            **({"notify_url": notify_url} if notify_url else {}),
        }
        check_rules(world, order, body)
        refund = accept(world, order, body, origin="PORTAL")
    world.changed.set()
    return view(world, refund)


def look_up(world: World, out_refund_no: str) -> dict[str, Any]:
    """``GET /v3/refund/domestic/refunds/{out_refund_no}``."""
    settle_due(world)
    refund = find(world, out_refund_no)
    if refund is None:
        raise refusals.resource_unknown()
    return view(world, refund)


def apply_abnormal(world: World, refund_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """``POST …/{refund_id}/apply-abnormal-refund``: try once more, to a card; the path has WeChat's own number."""
    _check_sub(world, body)
    with world.db.transaction():
        refund = find(world, body["out_refund_no"])
        if refund is None or refund["refund_id"] != refund_id:
            raise refusals.resource_unknown()
        if body["type"] == "USER_BANK_CARD" and not {"bank_type", "bank_account", "real_name"} <= set(body):
            raise refusals.param_error(
                "退款至用户银行卡时，开户银行、收款银行卡号、收款用户姓名必填", field="/bank_type"
            )
        if refund["status"] != "ABNORMAL":
            raise refusals.invalid("退款单状态非退款异常，不能发起异常退款")
        again = _settle(world, body["out_refund_no"], "PROCESSING")
        sql = "UPDATE refunds SET channel = 'OTHER_BANKCARD', received_by = ? WHERE out_refund_no = ?"
        world.db.write(sql, _card(body), body["out_refund_no"])
        again = find(world, body["out_refund_no"]) or again
    world.changed.set()
    return view(world, again)


def find(world: World, out_refund_no: str) -> sqlite3.Row | None:
    """The refund as stored."""
    return world.db.row("SELECT * FROM refunds WHERE out_refund_no = ?", out_refund_no)


def settle_due(world: World) -> None:
    """Let every refund succeed whose time has come."""
    sql = "SELECT out_refund_no, settle_at FROM refunds WHERE settle_at <= ? ORDER BY settle_at"
    for row in world.db.rows(sql, world.clock.now()):
        with world.db.transaction():
            _settle(world, row["out_refund_no"], "SUCCESS", at=row["settle_at"])


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


def _card(body: dict[str, Any]) -> str:
    """Where the money of an abnormal refund goes."""
    return f"{body['bank_type']}银行卡" if body["type"] == "USER_BANK_CARD" else "商户银行卡"


def _check_sub(world: World, body: dict[str, Any]) -> None:
    """A partner names the sub-merchant, who must have let him refund."""
    parties.check_sub(world, body)
    if world.keys.identity.sub_mch_id and not world.knobs.sub_refunds_authorised:
        raise parties.no_auth("子商户未授权服务商退款")


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


def accept(
    world: World, order: sqlite3.Row, body: dict[str, Any], *, origin: str = "API", state: str = "REFUND"
) -> sqlite3.Row:
    """Take the refund on and hold its money; in the caller's transaction, who has looked whether it may be."""
    now = world.clock.now()
    amount = body["amount"]["refund"]
    coupon, fee = coupon_share(world, order, amount), fee_share(world, order, amount)
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
            "coupon": coupon,
            "fee": fee,
            "origin": origin,
            "funds_account": body.get("funds_account", "UNSETTLED"),
            "status": "PROCESSING",
            "created_at": now,
            "settle_at": now + world.knobs.refund_delay_s,
        },
    )
    world.db.write("UPDATE orders SET state = ? WHERE out_trade_no = ?", state, order["out_trade_no"])
    book.hold(world, net_fen(order, amount, coupon, fee))
    accepted = find(world, body["out_refund_no"])
    assert accepted is not None
    return accepted


def _settle(world: World, out_refund_no: str, status: str, *, at: float | None = None) -> sqlite3.Row:
    """Set the outcome and, when the merchant gave a notify URL, write the notice."""
    now = world.clock.now()
    done_at = (at or now) if status == "SUCCESS" else None
    settle_at = now + world.knobs.refund_delay_s if status == "PROCESSING" else None
    sql = "UPDATE refunds SET status = ?, settle_at = ?, done_at = ? WHERE out_refund_no = ?"
    world.db.write(sql, status, settle_at, done_at, out_refund_no)
    refund = find(world, out_refund_no)
    assert refund is not None
    order = orders.find(world, refund["out_trade_no"])
    assert order is not None
    if status == "CLOSED":
        book.hold(world, -net_fen(order, refund["amount"], refund["coupon"], refund["fee"]))
    elif status == "SUCCESS":
        book.give_back(world, refund, order)
    if status in SUMMARIES and refund["notify_url"]:
        outbox.post(
            world,
            kind="refund",
            subject=out_refund_no,
            url=refund["notify_url"],
            event_type=f"REFUND.{status}",
            summary=SUMMARIES[status],
            plaintext=json.dumps(told(world, refund), ensure_ascii=False),
        )
    return refund
