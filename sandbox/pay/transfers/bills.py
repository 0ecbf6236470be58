"""What a merchant asks about transfers: order one, look it up, cancel it."""

import re
import sqlite3
from typing import Any

from sandbox.miniprogram import users
from sandbox.pay import numbers, orders, refusals
from sandbox.pay.exchange import Call
from sandbox.pay.transfers import scenes, states
from sandbox.pay.transfers.objects import accepted, cancelled, view
from sandbox.world import World

NAMED_FROM_FEN = 200_000
"""From 2,000 yuan the user's name must be given."""
NAMED_NOT_BELOW_FEN = 30
NAME = "/user_name"


def order(world: World, call: Call) -> dict[str, Any]:
    """``POST /v3/fund-app/mch-transfer/transfer-bills``. The same number with the same parameters answers as it is now."""
    body, name = call.json, call.opened.get(NAME)
    said = orders.canonical(body | {"user_name": name})  # encrypted anew each time: the plain one is compared
    with world.db.transaction():
        known = states.find(world, body["out_bill_no"])
        if known is not None:
            if known["body"] != said:
                raise refusals.invalid("商户单号已存在，且请求参数与原请求不一致", number=268498688)
            return accepted(known)
        _check(world, body, name)
        add(world, body, said, name, needs_user=True)
    states.settle_due(world)
    world.changed.set()
    return accepted(_get(world, body["out_bill_no"]))


def look_up(world: World, out_bill_no: str) -> dict[str, Any]:
    """``GET …/transfer-bills/out-bill-no/{out_bill_no}``."""
    states.settle_due(world)
    return view(world, _get(world, out_bill_no))


def look_up_by_bill(world: World, transfer_bill_no: str) -> dict[str, Any]:
    """``GET …/transfer-bills/transfer-bill-no/{transfer_bill_no}``."""
    return look_up(world, number_of(world, transfer_bill_no))


def number_of(world: World, transfer_bill_no: str) -> str:
    """The merchant's number of WeChat's. Raises the 404."""
    row = world.db.row("SELECT out_bill_no FROM transfers WHERE transfer_bill_no = ?", transfer_bill_no)
    if row is None:
        raise unknown()
    return str(row["out_bill_no"])


def cancel(world: World, call: Call) -> dict[str, Any]:
    """``POST …/out-bill-no/{out_bill_no}/cancel`` with an empty body: possible until the user has confirmed."""
    if call.raw:
        raise refusals.param_error("请求体应为空", issue="body not empty")
    states.settle_due(world)
    with world.db.transaction():
        transfer = _get(world, call.params["out_bill_no"])
        if transfer["state"] not in {"CANCELING", "CANCELLED"}:
            try:
                transfer = states.move(world, transfer, "CANCELING")
            except states.IllegalMove:
                raise refusals.invalid("当前单据状态不支持撤销") from None
    world.changed.set()
    return cancelled(transfer)


def add(world: World, body: dict[str, Any], said: str, name: str | None, *, needs_user: bool) -> None:
    """Write the bill down as ACCEPTED; its first step is due when the knob says."""
    now = world.clock.now()
    world.db.insert(
        "transfers",
        {
            "out_bill_no": body["out_bill_no"],
            "transfer_bill_no": numbers.transfer_bill_no(now),
            "body": said,
            "openid": body["openid"],
            "user_name": name,
            "amount": body["transfer_amount"],
            "remark": body["transfer_remark"],
            "notify_url": body.get("notify_url"),
            "state": "ACCEPTED",
            "package_info": numbers.package_info(),
            "needs_user": int(needs_user),
            "created_at": now,
            "updated_at": now,
            "next_at": now + world.knobs.transfer_accept_s,
        },
    )


def _check(world: World, body: dict[str, Any], name: str | None) -> None:
    orders.check_appid(world, body["appid"])
    check_payee(world, body["openid"])
    scenes.check(body)
    check_name(body["transfer_amount"], name)


def check_payee(world: World, openid: str) -> None:
    """A user of this appid must exist: money never goes to whoever may come later."""
    if not re.fullmatch(r"o[0-9A-Za-z_-]{5,63}", openid) or users.find(world, openid) is None:
        raise refusals.param_error("OpenID与商户AppID不匹配", field="/openid", value=openid)


def check_name(fen: int, name: str | None) -> None:
    """The user's name: a must from 2,000 yuan, not taken below 0.30 yuan."""
    if name is None and fen >= NAMED_FROM_FEN:
        raise refusals.param_error("转账金额大于等于2000元时，收款用户姓名必填", field=NAME)
    if name is not None and fen < NAMED_NOT_BELOW_FEN:
        raise refusals.param_error("转账金额小于0.3元时，不支持传入收款用户姓名", field=NAME)
    if name is not None and not name.strip():
        raise refusals.param_error("收款用户姓名不能为空", field=NAME)


def unknown() -> refusals.Refusal:
    """404 of a bill nobody has."""
    return refusals.Refusal(404, "NOT_FOUND", "记录不存在", number=268512771)


def _get(world: World, out_bill_no: str) -> sqlite3.Row:
    transfer = states.find(world, out_bill_no)
    if transfer is None:
        raise unknown()
    return transfer
