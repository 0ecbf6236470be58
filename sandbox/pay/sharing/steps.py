"""What becomes of shares and returns a little after they were asked for, and who hears of it.

share: PENDING → SUCCESS | CLOSED        return: PROCESSING → SUCCESS | FAILED
"""

import json
import sqlite3
from typing import Any

from sandbox.notices import outbox
from sandbox.pay import book, numbers
from sandbox.pay.sharing import frozen, receivers
from sandbox.pay.sharing.objects import told
from sandbox.world import World

OWN_SHARE = "解冻给分账方"


def find(world: World, out_order_no: str) -> sqlite3.Row | None:
    """The share order as stored."""
    return world.db.row("SELECT * FROM share_orders WHERE out_order_no = ?", out_order_no)


def add_share(
    world: World, share_order: sqlite3.Row, place: int, receiver: dict[str, Any], *, own: bool = False
) -> str:
    """Write down what a receiver is to get; answers its ``detail_id``."""
    detail_id = numbers.share_detail_id()
    world.db.insert(
        "shares",
        {
            "detail_id": detail_id,
            "out_order_no": share_order["out_order_no"],
            "place": place,
            "own": int(own),
            **{name: receiver[name] for name in ("type", "account", "amount", "description")},
            "result": "PENDING",
            "created_at": share_order["created_at"],
        },
    )
    return detail_id


def settle_due(world: World) -> None:
    """Let everything finish whose time has come."""
    with world.db.transaction():
        settle_due_inside(world)


def settle_due_inside(world: World) -> None:
    """The same in the caller's transaction."""
    now = world.clock.now()
    frozen.settle_due(world)
    for row in world.db.rows("SELECT * FROM share_orders WHERE next_at <= ? ORDER BY next_at", now):
        _finish(world, row)
    for row in world.db.rows("SELECT * FROM share_returns WHERE next_at <= ? ORDER BY next_at", now):
        _finish_return(world, row)


def next_due(world: World) -> float | None:
    """When the next of them finishes."""
    sql = """SELECT min(at) AS at FROM (SELECT min(next_at) AS at FROM share_orders WHERE next_at IS NOT NULL
             UNION ALL SELECT min(next_at) FROM share_returns WHERE next_at IS NOT NULL
             UNION ALL SELECT min(unfreezes_at) FROM share_freezes WHERE unfrozen_at IS NULL)"""
    row = world.db.row(sql)
    return row["at"] if row else None


def _finish(world: World, share_order: sqlite3.Row) -> None:
    at = share_order["next_at"]
    sql = "UPDATE share_orders SET state = 'FINISHED', next_at = NULL WHERE out_order_no = ?"
    world.db.write(sql, share_order["out_order_no"])
    pending = "SELECT * FROM shares WHERE out_order_no = ? AND result = 'PENDING' ORDER BY place"
    for share in world.db.rows(pending, share_order["out_order_no"]):
        _decide(world, share_order, share, at)
    if share_order["unfreezes"]:
        _set_free(world, share_order, at)


def _decide(world: World, share_order: sqlite3.Row, share: sqlite3.Row, at: float) -> None:
    reason = _trouble(world, share["account"], "share_fails")
    sub_mchid = world.keys.identity.sub_mch_id or ""
    if reason is None and not receivers.knows(world, sub_mchid, share["type"], share["account"]):
        reason = "NO_RELATION"
    _set_result(world, share["detail_id"], at, reason)
    if reason is None:
        about = {"business_id": share_order["order_id"], "voucher": share_order["out_order_no"]}
        book.book(world, "share", -share["amount"], note=share["description"], at=at, **about)
        receiver = {name: share[name] for name in ("type", "account", "amount", "description")}
        _tell(world, share_order, receiver, at, "SUCCESS")


def _set_result(world: World, detail_id: str, at: float, reason: str | None) -> None:
    sql = "UPDATE shares SET result = ?, fail_reason = ?, finished_at = ? WHERE detail_id = ?"
    world.db.write(sql, "SUCCESS" if reason is None else "CLOSED", reason, at, detail_id)


def _set_free(world: World, share_order: sqlite3.Row, at: float) -> None:
    """What is left of the order, a share that came back among it, is the merchant's own."""
    order = world.db.row("SELECT * FROM orders WHERE out_trade_no = ?", share_order["out_trade_no"])
    assert order is not None
    left = frozen.left_fen(world, order)
    if left == 0:
        return
    whose = world.keys.identity.sub_mch_id or world.keys.identity.mch_id
    own = {"type": "MERCHANT_ID", "account": whose, "amount": left, "description": OWN_SHARE}
    place = world.db.number("SELECT count(*) FROM shares WHERE out_order_no = ?", share_order["out_order_no"])
    _set_result(world, add_share(world, share_order, place, own, own=True), at, None)


def _finish_return(world: World, back: sqlite3.Row) -> None:
    at = back["next_at"]
    reason = _trouble(world, back["return_mchid"], "return_fails")
    sql = (
        "UPDATE share_returns SET result = ?, fail_reason = ?, finished_at = ?, next_at = NULL WHERE out_return_no = ?"
    )
    world.db.write(sql, "SUCCESS" if reason is None else "FAILED", reason, at, back["out_return_no"])
    share_order = find(world, back["out_order_no"])
    if reason is None and share_order is not None:
        about = {"business_id": back["return_id"], "voucher": back["out_return_no"]}
        book.book(world, "share_returned", back["amount"], note=back["description"], at=at, **about)
        receiver = {"type": "MERCHANT_ID", "account": back["return_mchid"], "amount": back["amount"]}
        _tell(world, share_order, receiver | {"description": back["description"]}, at, "RETURN")


def _trouble(world: World, account: str, kind: str) -> str | None:
    row = world.db.row("SELECT * FROM share_troubles WHERE account = ?", account)
    return row[kind] if row else None


def _tell(world: World, share_order: sqlite3.Row, receiver: dict[str, Any], at: float, what: str) -> None:
    """Receivers hear of their money, where they have an address; those who share poll."""
    url = world.knobs.share_notify_url
    if url is None or receiver["type"] != "MERCHANT_ID":
        return
    outbox.post(
        world,
        kind="profitsharing",
        subject=f"{share_order['out_order_no']}/{receiver['account']}",
        url=url,
        event_type=world.knobs.share_event if what == "SUCCESS" else "PROFITSHARING.RETURN",
        summary="分账" if what == "SUCCESS" else "分账回退",
        plaintext=json.dumps(told(world, share_order, receiver, at), ensure_ascii=False),
    )
