"""The merchant's money behind transfers: enough of it, held while it is promised, gone when it has arrived."""

import sqlite3

from sandbox.pay import book
from sandbox.world import World

HOLDING = "('WAIT_USER_CONFIRM', 'TRANSFERING', 'CANCELING')"


def enough(world: World, fen: int) -> bool:
    """Whether the balance covers one more transfer beside those promised."""
    if world.knobs.balance_fen is None:
        return True
    held = world.db.number(f"SELECT sum(amount) FROM transfers WHERE state IN {HOLDING}")  # noqa: S608 - our names
    return fen <= world.knobs.balance_fen - held


def pay_out(world: World, transfer: sqlite3.Row) -> None:
    """The user has it."""
    book.book(
        world,
        "transfer",
        -transfer["amount"],
        business_id=transfer["transfer_bill_no"],
        voucher=transfer["out_bill_no"],
        note=transfer["remark"],
        at=transfer["updated_at"],
        applicant=f"{world.keys.identity.mch_id}API",
    )
