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
    }
)
"""Sees what is for sale and what was ordered, and ships it; moves no money, no price and no stock."""

MANAGER: Final = CLERK | frozenset(
    {
        "catalog.write",
        "stock.adjust",
        "orders.refund",
        "orders.close",
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
        "staff.manage",
        "audit.read",
        "jobs.manage",
    }
)

PERMISSIONS: Final[dict[str, frozenset[str]]] = {Role.MANAGER: MANAGER, Role.CLERK: CLERK}
