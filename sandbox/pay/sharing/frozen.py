"""How much of an order may still be shared."""

import json
import sqlite3

from sandbox.world import World

MONTH_S = 30 * 86400
"""What nobody shares or unfreezes comes free by itself after thirty days."""


def freeze(world: World, order: sqlite3.Row) -> None:
    """The money of an order made with ``settle_info.profit_sharing`` is frozen as it comes; in its transaction."""
    if json.loads(order["body"]).get("settle_info", {}).get("profit_sharing") is True:
        facts = {"out_trade_no": order["out_trade_no"], "unfreezes_at": order["paid_at"] + MONTH_S}
        world.db.insert("share_freezes", facts)


def find(world: World, out_trade_no: str) -> sqlite3.Row | None:
    """The freeze of an order; none where nothing is to be shared."""
    return world.db.row("SELECT * FROM share_freezes WHERE out_trade_no = ?", out_trade_no)


def unfreeze(world: World, out_trade_no: str, at: float) -> None:
    """What is left belongs to the merchant alone again."""
    world.db.write("UPDATE share_freezes SET unfrozen_at = ? WHERE out_trade_no = ?", at, out_trade_no)


def shared_fen(world: World, out_trade_no: str) -> int:
    """What others have, or are about to have, of the order: shares less what was given back."""
    out = """SELECT sum(s.amount) FROM shares s JOIN share_orders o USING (out_order_no)
             WHERE o.out_trade_no = ? AND NOT s.own AND s.result != 'CLOSED'"""
    back = """SELECT sum(r.amount) FROM share_returns r JOIN share_orders o USING (out_order_no)
              WHERE o.out_trade_no = ? AND r.result = 'SUCCESS'"""
    return world.db.number(out, out_trade_no) - world.db.number(back, out_trade_no)


def left_fen(world: World, order: sqlite3.Row) -> int:
    """What is neither with others nor refunded."""
    sql = "SELECT sum(amount) FROM refunds WHERE out_trade_no = ? AND status != 'CLOSED'"
    refunded = world.db.number(sql, order["out_trade_no"])
    return max(int(order["total"]) - refunded - shared_fen(world, order["out_trade_no"]), 0)


def unsplit_fen(world: World, order: sqlite3.Row) -> int:
    """What may still be shared: nothing, once unfrozen."""
    freeze_row = find(world, order["out_trade_no"])
    if freeze_row is None or freeze_row["unfrozen_at"] is not None:
        return 0
    return left_fen(world, order)


def settle_due(world: World) -> None:
    """Thirty days are over."""
    sql = "UPDATE share_freezes SET unfrozen_at = unfreezes_at WHERE unfrozen_at IS NULL AND unfreezes_at <= ?"
    world.db.write(sql, world.clock.now())
