"""What a payer's yuan are to the merchant's currency: fixed at the moment of payment."""

import sqlite3

from sandbox.world import World

WHOLE = 10**8
"""Rates are written times 10^8."""


def fix(world: World, order: sqlite3.Row) -> None:
    """Remember the rate of a payment, in its transaction; at home there is none."""
    if world.keys.identity.region == "global":
        facts = {"out_trade_no": order["out_trade_no"], "rate": world.knobs.exchange_rate}
        world.db.insert("exchange_rates", facts)


def of(world: World, out_trade_no: str) -> int:
    """The rate of a payment: yuan for one of the merchant's currency, times 10^8."""
    row = world.db.row("SELECT rate FROM exchange_rates WHERE out_trade_no = ?", out_trade_no)
    return int(row["rate"]) if row else world.knobs.exchange_rate


def yuan_fen(rate: int, amount: int) -> int:
    """Fen of yuan for ``amount`` of the merchant's smallest unit, rounded half up."""
    return (amount * rate + WHOLE // 2) // WHOLE
