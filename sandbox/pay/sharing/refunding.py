"""What sharing has to say about a refund: the shares come back first."""

import sqlite3

from sandbox.pay.refusals import invalid
from sandbox.pay.sharing import frozen, steps
from sandbox.world import World


def check(world: World, order: sqlite3.Row, fen: int) -> None:
    """Refuse while others have a part of the order (knob ``shared_refund``); in the refund's transaction."""
    if frozen.find(world, order["out_trade_no"]) is None:
        return
    steps.settle_due_inside(world)
    others = frozen.shared_fen(world, order["out_trade_no"])
    if others and (world.knobs.shared_refund == "returned" or fen > frozen.left_fen(world, order)):
        raise invalid("订单已分账，请先发起分账回退再申请退款")
