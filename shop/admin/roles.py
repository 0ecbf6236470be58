"""What each role may do, as data. A new permission needs one line here and one guard at its route."""

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    MANAGER = "manager"
    CLERK = "clerk"


CLERK: Final = frozenset(
    {
        "catalog.read",
        "stock.read",
        "orders.read",
        "orders.ship",
        "orders.charge",
    }
)
"""Sees what is for sale and what was ordered, ships it and charges at the counter; gives no money back, moves no price, no stock."""

MANAGER: Final = CLERK | frozenset(
    {
        "catalog.write",
        "stock.adjust",
        "orders.refund",
        "orders.close",
        "orders.reprice",
        "payments.read",
        "payments.decide",
        "payments.policy",
        "refunds.approve",
        "payouts.create",
        "payouts.approve",
        "payouts.receivers",
        "ledger.read",
        "reconciliation.read",
        "reconciliation.download",
        "reconciliation.run",
        "shipping.write",
        "members.read",
        "members.write",
        "members.erase",
        "staff.manage",
        "audit.read",
        "jobs.manage",
    }
)

PERMISSIONS: Final[dict[str, frozenset[str]]] = {Role.MANAGER: MANAGER, Role.CLERK: CLERK}
