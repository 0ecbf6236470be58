"""What the user does about a transfer: takes it, or taps it away."""

import sqlite3
from typing import Any

from sandbox.pay.transfers import states
from sandbox.pay.transfers.objects import view
from sandbox.world import World

REASONS = (
    "ACCOUNT_FROZEN",
    "REAL_NAME_CHECK_FAIL",
    "NAME_NOT_CORRECT",
    "OPENID_INVALID",
    "TRANSFER_QUOTA_EXCEED",
    "DAY_RECEIVED_QUOTA_EXCEED",
    "DAY_RECEIVED_COUNT_EXCEED",
    "PRODUCT_AUTH_CHECK_FAIL",
    "OVERDUE_CLOSE",
    "PAYEE_ACCOUNT_ABNORMAL",
    "PAYER_ACCOUNT_ABNORMAL",
    "MERCHANT_REJECT",
    "MCH_CANCEL",
    "TRANSFER_RISK",
    "TRANSFER_SCENE_UNAVAILABLE",
)


class NoSuchTransfer(Exception):
    """No transfer has this number or package."""


def of_package(world: World, package_info: str) -> str:
    """The bill behind what ``wx.requestMerchantTransfer`` was handed. Raises :class:`NoSuchTransfer`."""
    row = world.db.row("SELECT out_bill_no FROM transfers WHERE package_info = ?", package_info)
    if row is None:
        raise NoSuchTransfer("No transfer has this package.")
    return str(row["out_bill_no"])


def confirm(world: World, out_bill_no: str, openid: str | None = None) -> dict[str, Any]:
    """The user takes the money, which is then on its way. Raises :class:`NoSuchTransfer` or ``IllegalMove``."""
    states.settle_due(world)
    with world.db.transaction():
        transfer = _waiting(world, out_bill_no)
        if openid not in {None, transfer["openid"]}:
            raise states.IllegalMove("The transfer is for another openid.")
        moved = states.move(world, transfer, "TRANSFERING")
    world.changed.set()
    return view(world, moved)


def decline(world: World, out_bill_no: str) -> dict[str, Any]:
    """The user taps it away: it goes on waiting, and may still be taken until its 24 hours are over."""
    states.settle_due(world)
    with world.db.transaction():
        transfer = _waiting(world, out_bill_no)
        world.db.write("UPDATE transfers SET declined_at = ? WHERE out_bill_no = ?", world.clock.now(), out_bill_no)
    return view(world, transfer)


def fail(world: World, out_bill_no: str, reason: str) -> dict[str, Any]:
    """It ends, for a reason of WeChat's list."""
    states.settle_due(world)
    with world.db.transaction():
        moved = states.move(world, _get(world, out_bill_no), "FAIL", fail_reason=reason)
    world.changed.set()
    return view(world, moved)


def _waiting(world: World, out_bill_no: str) -> sqlite3.Row:
    transfer = _get(world, out_bill_no)
    if transfer["state"] != "WAIT_USER_CONFIRM":
        raise states.IllegalMove(f"The transfer is {transfer['state']}: it does not wait for the user.")
    return transfer


def _get(world: World, out_bill_no: str) -> sqlite3.Row:
    transfer = states.find(world, out_bill_no)
    if transfer is None:
        raise NoSuchTransfer(f"No transfer {out_bill_no}.")
    return transfer
