"""What staff call of money out."""

from typing import Any

from payments.payouts import customs_admin, receiver_admin, sharing_admin, transfer_admin

ROUTES: list[Any] = [
    *transfer_admin.ROUTES,
    *receiver_admin.ROUTES,
    *sharing_admin.ROUTES,
    *customs_admin.ROUTES,
]
