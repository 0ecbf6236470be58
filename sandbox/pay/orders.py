"""Orders until they are paid: made, asked for again, looked up, closed.

NOTPAY → SUCCESS → REFUND        NOTPAY → CLOSED        (payments by code: :mod:`codepay`)
"""

import json
import re
import sqlite3
from datetime import datetime
from typing import Any

from sandbox.miniprogram import users
from sandbox.pay import numbers, refusals
from sandbox.pay.transactions import view
from sandbox.world import World

MINUTE_S = 60
DAY_S = 86400
LIFE_S = 7 * DAY_S
"""An unpaid order is closed by WeChat after seven days."""
PREPAY_S = {"JSAPI": 2 * 3600, "APP": 2 * 3600, "NATIVE": 2 * 3600, "MWEB": 5 * MINUTE_S}
LONGEST_EXPIRY_S = {"NATIVE": 7 * DAY_S}
LONGEST_EXPIRY_ELSE_S = 15 * DAY_S


def place(world: World, trade_type: str, body: dict[str, Any]) -> sqlite3.Row:
    """Make the order, or meet it again, and issue a prepay for it; answers the prepay's row.

    ``POST /v3/pay/transactions/{jsapi,app,native,h5}``: the same number with the same parameters gets a new prepay,
    with others it is refused.
    """
    _check_parties(world, trade_type, body)
    with world.db.transaction():
        order = find(world, body["out_trade_no"])
        if order is None:
            _add(world, trade_type, body)
        else:
            _meet_again(world, order, trade_type, body)
        return _issue_prepay(world, trade_type, body["out_trade_no"])


def find(world: World, out_trade_no: str) -> sqlite3.Row | None:
    """The order as it is now: one whose seven days have passed is closed by being looked at."""
    sql = "SELECT * FROM orders WHERE out_trade_no = ?"
    order = world.db.row(sql, out_trade_no)
    if order and order["state"] == "NOTPAY" and order["closes_at"] <= world.clock.now():
        shut = "UPDATE orders SET state = 'CLOSED', closed_at = closes_at WHERE out_trade_no = ? AND state = 'NOTPAY'"
        world.db.write(shut, out_trade_no)
        return world.db.row(sql, out_trade_no)
    return order


def find_single(world: World, out_trade_no: str) -> sqlite3.Row | None:
    """The order, unless it is part of a combined payment: those are queried and closed as a whole."""
    part = world.db.row("SELECT 1 FROM combined_orders WHERE out_trade_no = ?", out_trade_no)
    return None if part else find(world, out_trade_no)


def look_up(world: World, out_trade_no: str) -> dict[str, Any]:
    """``GET /v3/pay/transactions/out-trade-no/{out_trade_no}``."""
    order = find_single(world, out_trade_no)
    if order is None:
        raise refusals.order_unknown()
    return view(world, order)


def look_up_by_transaction(world: World, transaction_id: str) -> dict[str, Any]:
    """``GET /v3/pay/transactions/id/{transaction_id}``."""
    order = world.db.row("SELECT out_trade_no FROM orders WHERE transaction_id = ?", transaction_id)
    if order is None:
        raise refusals.order_unknown()
    return look_up(world, order["out_trade_no"])


def close(world: World, out_trade_no: str) -> None:
    """``POST …/close``: nobody can pay any more. Closing again is fine, closing what was paid is ORDERPAID."""
    with world.db.transaction():
        order = find_single(world, out_trade_no)
        if order is None:
            raise refusals.order_unknown()
        if order["trade_type"] == "MICROPAY":
            raise refusals.invalid("付款码支付订单不支持关单，请使用撤销接口", number=268449641)
        if order["state"] in {"SUCCESS", "REFUND"}:
            raise refusals.order_paid()
        sql = "UPDATE orders SET state = 'CLOSED', closed_at = ? WHERE out_trade_no = ? AND state = 'NOTPAY'"
        world.db.write(sql, world.clock.now(), out_trade_no)


def _check_parties(world: World, trade_type: str, body: dict[str, Any]) -> None:
    check_appid(world, body["appid"])
    if "identity" in body.get("payer", {}):
        raise refusals.Refusal(403, "NO_AUTH", "商户无此接口权限：实名支付", number=268443715)
    if trade_type == "JSAPI":
        check_openid(world, body["payer"]["openid"], "/payer/openid")


def check_appid(world: World, appid: str) -> None:
    """Refuse an appid that is not bound to the merchant."""
    if appid != world.keys.identity.app_id:
        raise refusals.Refusal(400, "APPID_MCHID_NOT_MATCH", "appid和mchid不匹配，请检查后再试", number=268445527)


def check_openid(world: World, openid: str, field: str) -> None:
    """Refuse a misshapen openid; one of the right look becomes a user, unless ``strict_openid`` is on."""
    if not re.fullmatch(r"o[0-9A-Za-z_-]{5,63}", openid):
        raise refusals.param_error("无效的openid", field=field, value=openid)
    if users.find(world, openid) is None:
        if world.knobs.strict_openid:
            raise refusals.param_error("无效的openid", field=field, value=openid)
        users.meet(world, label=openid, openid=openid)


def expiry(world: World, trade_type: str, body: dict[str, Any]) -> float:
    """Until when the payer may pay. Raises a PARAM_ERROR for a ``time_expire`` too far ahead."""
    now = world.clock.now()
    if "time_expire" not in body:
        return now + LIFE_S
    asked = datetime.fromisoformat(body["time_expire"]).timestamp()
    if asked > now + LONGEST_EXPIRY_S.get(trade_type, LONGEST_EXPIRY_ELSE_S) + MINUTE_S:
        raise refusals.param_error("支付结束时间过长", field="/time_expire", value=body["time_expire"])
    return max(asked, now + MINUTE_S)


def _add(world: World, trade_type: str, body: dict[str, Any]) -> None:
    now = world.clock.now()
    expires_at = expiry(world, trade_type, body)
    world.db.insert(
        "orders",
        {
            "out_trade_no": body["out_trade_no"],
            "trade_type": trade_type,
            "body": canonical(body),
            "description": body["description"],
            "attach": body.get("attach"),
            "notify_url": body["notify_url"],
            "total": body["amount"]["total"],
            "openid": body.get("payer", {}).get("openid"),
            "state": "NOTPAY",
            "created_at": now,
            "expires_at": expires_at,
            "closes_at": max(now + LIFE_S, expires_at),
        },
    )


def _meet_again(world: World, order: sqlite3.Row, trade_type: str, body: dict[str, Any]) -> None:
    if order["state"] in {"SUCCESS", "REFUND"}:
        raise refusals.order_paid()
    if order["state"] == "CLOSED" or order["expires_at"] <= world.clock.now():
        raise refusals.order_closed()
    if order["trade_type"] != trade_type or order["body"] != canonical(body):
        raise number_used(world)


def number_used(world: World) -> refusals.Refusal:
    """The number came before with other parameters; which answer, is a setting."""
    if world.knobs.reused_number == "INVALID_REQUEST":
        return refusals.invalid("201 商户订单号重复", number=268498688)
    return refusals.Refusal(403, "OUT_TRADE_NO_USED", "商户订单号重复", number=268498688)


def _issue_prepay(world: World, trade_type: str, out_trade_no: str) -> sqlite3.Row:
    now = world.clock.now()
    if trade_type == "NATIVE":  # ordering again invalidates the code that was shown before
        world.db.write("UPDATE prepays SET replaced = 1 WHERE out_trade_no = ?", out_trade_no)
    prepay_id = numbers.prepay_id(now)
    world.db.insert(
        "prepays",
        {
            "prepay_id": prepay_id,
            "out_trade_no": out_trade_no,
            "code": numbers.code() if trade_type == "NATIVE" else None,
            "created_at": now,
            "valid_until": now + PREPAY_S[trade_type],
        },
    )
    issued = world.db.row("SELECT * FROM prepays WHERE prepay_id = ?", prepay_id)
    assert issued is not None
    return issued


def canonical(body: dict[str, Any]) -> str:
    """The same text for the same parameters, whatever the order of members."""
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
