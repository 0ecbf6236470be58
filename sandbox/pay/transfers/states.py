"""How a transfer moves, and what happens to the money and the merchant's ears when it does.

ACCEPTED → PROCESSING → WAIT_USER_CONFIRM → TRANSFERING → SUCCESS | FAIL
WAIT_USER_CONFIRM → CANCELING → CANCELLED          WAIT_USER_CONFIRM →(24 h) FAIL(OVERDUE_CLOSE)
"""

import json
import sqlite3

from sandbox.miniprogram import users
from sandbox.notices import outbox
from sandbox.pay.transfers import funds
from sandbox.pay.transfers.objects import told
from sandbox.world import World

CONFIRM_S = 24 * 3600
"""How long a user has to confirm."""

MOVES = {
    "ACCEPTED": {"PROCESSING", "CANCELING", "FAIL"},
    "PROCESSING": {"WAIT_USER_CONFIRM", "TRANSFERING", "CANCELING", "FAIL"},
    "WAIT_USER_CONFIRM": {"TRANSFERING", "CANCELING", "FAIL"},
    "TRANSFERING": {"SUCCESS", "FAIL"},
    "CANCELING": {"CANCELLED"},
    "SUCCESS": set[str](),
    "FAIL": set[str](),
    "CANCELLED": set[str](),
}
FINAL = {"SUCCESS", "FAIL", "CANCELLED"}


class IllegalMove(Exception):
    """The transfer cannot go from its state to the wanted one."""


def find(world: World, out_bill_no: str) -> sqlite3.Row | None:
    """The transfer as stored."""
    return world.db.row("SELECT * FROM transfers WHERE out_bill_no = ?", out_bill_no)


def move(
    world: World, transfer: sqlite3.Row, state: str, *, at: float | None = None, fail_reason: str | None = None
) -> sqlite3.Row:
    """Set the state as of ``at`` (now), settle the money, and tell the merchant of an end; in a transaction.

    Raises :class:`IllegalMove`.
    """
    if state not in MOVES[transfer["state"]]:
        raise IllegalMove(f"The transfer is {transfer['state']} and cannot become {state}.")
    moment = world.clock.now() if at is None else at
    sql = "UPDATE transfers SET state = ?, fail_reason = ?, updated_at = ?, next_at = ? WHERE out_bill_no = ?"
    next_at = _next_at(world, transfer, state, moment)
    world.db.write(sql, state, fail_reason, moment, next_at, transfer["out_bill_no"])
    moved = find(world, transfer["out_bill_no"])
    assert moved is not None
    if state == "SUCCESS":
        funds.pay_out(world, moved)
    if state in FINAL and moved["notify_url"]:
        outbox.post(
            world,
            kind="mch_payment",
            subject=moved["out_bill_no"],
            url=moved["notify_url"],
            event_type="MCHTRANSFER.BILL.FINISHED",
            summary="商家转账单据终态通知",
            plaintext=json.dumps(told(world, moved), ensure_ascii=False),
        )
    return moved


def settle_due(world: World) -> None:
    """Let every transfer take the steps whose time has come."""
    sql = "SELECT out_bill_no FROM transfers WHERE next_at <= ? ORDER BY next_at LIMIT 1"
    while row := world.db.row(sql, world.clock.now()):
        with world.db.transaction():
            transfer = find(world, row["out_bill_no"])
            assert transfer is not None
            _step(world, transfer)


def next_due(world: World) -> float | None:
    """When the next step by itself is."""
    row = world.db.row("SELECT min(next_at) AS at FROM transfers WHERE next_at IS NOT NULL")
    return row["at"] if row else None


def look_for_money(world: World) -> None:
    """Those that waited for the merchant's balance go on as soon as it is enough, the oldest first."""
    sql = "SELECT * FROM transfers WHERE state = 'PROCESSING' ORDER BY created_at"
    for transfer in world.db.rows(sql):
        if funds.enough(world, transfer["amount"]):
            with world.db.transaction():
                go_on(world, transfer)


def go_on(world: World, transfer: sqlite3.Row, at: float | None = None) -> sqlite3.Row:
    """From PROCESSING: to the user, or straight on where the user agreed beforehand. Without money it stays."""
    payee = users.find(world, transfer["openid"])
    if payee is None or payee.account_closed:
        return move(world, transfer, "FAIL", at=at, fail_reason="PAYEE_ACCOUNT_ABNORMAL")
    if not funds.enough(world, transfer["amount"]):
        return transfer
    return move(world, transfer, "WAIT_USER_CONFIRM" if transfer["needs_user"] else "TRANSFERING", at=at)


def _step(world: World, transfer: sqlite3.Row) -> None:
    at = transfer["next_at"]
    if transfer["state"] == "ACCEPTED":
        go_on(world, move(world, transfer, "PROCESSING", at=at), at)
    elif transfer["state"] in {"PROCESSING", "WAIT_USER_CONFIRM"}:
        move(world, transfer, "FAIL", at=at, fail_reason="OVERDUE_CLOSE")
    else:
        move(world, transfer, "SUCCESS" if transfer["state"] == "TRANSFERING" else "CANCELLED", at=at)


def _next_at(world: World, transfer: sqlite3.Row, state: str, moment: float) -> float | None:
    if state in FINAL:
        return None
    if state in {"TRANSFERING", "CANCELING"}:
        return moment + world.knobs.transfer_delay_s
    return float(transfer["created_at"]) + CONFIRM_S
