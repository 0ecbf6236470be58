"""What becomes of things by themselves as business time passes, in one list."""

from sandbox.pay import refunds
from sandbox.pay.customs import declarations as customs
from sandbox.pay.sharing import steps as sharing
from sandbox.pay.transfers import states as transfers
from sandbox.world import World


def settle_due(world: World) -> None:
    """Everything whose time has come takes its step."""
    refunds.settle_due(world)
    transfers.settle_due(world)
    transfers.look_for_money(world)
    sharing.settle_due(world)
    customs.settle_due(world)


def next_due(world: World) -> float | None:
    """The business time of the next step, if one is to be expected."""
    row = world.db.row("SELECT min(settle_at) AS at FROM refunds WHERE settle_at IS NOT NULL")
    moments = [row["at"] if row else None, transfers.next_due(world), sharing.next_due(world), customs.next_due(world)]
    return min((at for at in moments if at is not None), default=None)
