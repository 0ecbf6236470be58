"""Shares and returns as WeChat writes them."""

import sqlite3
from typing import Any

from sandbox.clock import on_the_wire
from sandbox.pay import parties
from sandbox.world import World


def view(world: World, share_order: sqlite3.Row) -> dict[str, Any]:
    """A share order; what came free for the merchant stands among the receivers."""
    sql = "SELECT * FROM shares WHERE out_order_no = ? ORDER BY place"
    return {
        **parties.of(world),
        "transaction_id": transaction_of(world, share_order),
        "out_order_no": share_order["out_order_no"],
        "order_id": share_order["order_id"],
        "state": share_order["state"],
        "receivers": [_receiver(row) for row in world.db.rows(sql, share_order["out_order_no"])],
    }


def transaction_of(world: World, share_order: sqlite3.Row) -> str:
    """The number of the payment that is shared."""
    row = world.db.row("SELECT transaction_id FROM orders WHERE out_trade_no = ?", share_order["out_trade_no"])
    assert row is not None
    return str(row["transaction_id"])


def _receiver(share: sqlite3.Row) -> dict[str, Any]:
    content = {name: share[name] for name in ("type", "account", "amount", "description", "result", "detail_id")}
    content["create_time"] = on_the_wire(share["created_at"])
    if share["fail_reason"] is not None:
        content["fail_reason"] = share["fail_reason"]
    if share["finished_at"] is not None:
        content["finish_time"] = on_the_wire(share["finished_at"])
    return content


def returned(world: World, back: sqlite3.Row) -> dict[str, Any]:
    """A return."""
    row = world.db.row("SELECT order_id FROM share_orders WHERE out_order_no = ?", back["out_order_no"])
    assert row is not None
    names = ("out_order_no", "out_return_no", "return_id", "return_mchid", "amount", "description", "result")
    content = {**parties.of(world), "order_id": row["order_id"], **{name: back[name] for name in names}}
    content["create_time"] = on_the_wire(back["created_at"])
    if back["fail_reason"] is not None:
        content["fail_reason"] = back["fail_reason"]
    if back["finished_at"] is not None:
        content["finish_time"] = on_the_wire(back["finished_at"])
    return content


def told(world: World, share_order: sqlite3.Row, receiver: dict[str, Any], at: float) -> dict[str, Any]:
    """What a receiver hears."""
    return {
        **parties.merchants(world),
        "transaction_id": transaction_of(world, share_order),
        "order_id": share_order["order_id"],
        "out_order_no": share_order["out_order_no"],
        "receiver": receiver,
        "success_time": on_the_wire(at),
    }
