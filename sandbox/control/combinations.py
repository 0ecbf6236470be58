"""Combined payments as the levers and the phone show them: one sheet, paid once."""

import sqlite3
from typing import Any

from sandbox.clock import on_the_wire
from sandbox.pay.combined import combinations
from sandbox.world import World


def list_combinations(world: World, state: str | None, limit: int) -> list[dict[str, Any]]:
    """Combinations in the shape of payments, with ``sub_orders`` beside, the latest first."""
    sql = """SELECT c.*, p.prepay_id, p.valid_until FROM combinations c JOIN combined_prepays p USING (combine_out_trade_no)
             WHERE p.rowid = (SELECT max(rowid) FROM combined_prepays latest
                              WHERE latest.combine_out_trade_no = c.combine_out_trade_no)
             ORDER BY c.created_at DESC LIMIT ?"""
    shown = [_sheet(world, row) for row in world.db.rows(sql, limit)]
    return [sheet for sheet in shown if state in {None, sheet["state"]}]


def _sheet(world: World, row: sqlite3.Row) -> dict[str, Any]:
    parts = combinations.parts(world, row["combine_out_trade_no"])
    first = parts[0]
    names = ("out_trade_no", "description", "total", "state", "transaction_id")
    return {
        "out_trade_no": row["combine_out_trade_no"],
        "prepay_id": row["prepay_id"],
        "trade_type": row["trade_type"],
        "description": " + ".join(part["description"] for part in parts),
        "amount": sum(part["total"] for part in parts),
        "openid": row["openid"],
        "state": "REFUND" if any(part["state"] == "REFUND" for part in parts) else first["state"],
        "shop": world.knobs.shop_name,
        "mchid": world.keys.identity.mch_id,
        "transaction_id": None,
        "payer": first["payer"],
        "cancelled": row["cancelled_at"] is not None,
        "created_at": on_the_wire(row["created_at"]),
        "expires_at": on_the_wire(row["expires_at"]),
        "seconds_left": round(min(row["expires_at"], row["valid_until"]) - world.clock.now(), 1),
        "paid_at": on_the_wire(first["paid_at"]) if first["paid_at"] else None,
        "sub_orders": [{name: part[name] for name in names} for part in parts],
    }
