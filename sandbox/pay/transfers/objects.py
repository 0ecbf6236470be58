"""The transfer as WeChat writes it: to whoever orders it, to whoever asks, and in a notification."""

import sqlite3
from typing import Any

from sandbox.clock import on_the_wire
from sandbox.pay import sealed_fields
from sandbox.world import World


def accepted(transfer: sqlite3.Row) -> dict[str, Any]:
    """The answer to the order; ``package_info`` is for the user's phone, and there only while it waits for the user."""
    content = _numbers(transfer) | {
        "create_time": on_the_wire(transfer["created_at"]),
        "state": transfer["state"],
    }
    if transfer["state"] == "WAIT_USER_CONFIRM":
        content["package_info"] = transfer["package_info"]
    return content


def cancelled(transfer: sqlite3.Row) -> dict[str, Any]:
    """The answer to a cancel."""
    return _numbers(transfer) | {"state": transfer["state"], "update_time": on_the_wire(transfer["updated_at"])}


def view(world: World, transfer: sqlite3.Row) -> dict[str, Any]:
    """The answer to a query; the name comes back encrypted to the merchant."""
    content = _told(world, transfer) | {
        "appid": world.keys.identity.app_id,
        "transfer_remark": transfer["remark"],
    }
    if transfer["user_name"] is not None:
        content["user_name"] = sealed_fields.to_merchant(world, transfer["user_name"])
    return content


def told(world: World, transfer: sqlite3.Row) -> dict[str, Any]:
    """What a notification carries."""
    return _told(world, transfer)


def _told(world: World, transfer: sqlite3.Row) -> dict[str, Any]:
    content = _numbers(transfer) | {
        "mch_id": world.keys.identity.mch_id,
        "state": transfer["state"],
        "transfer_amount": transfer["amount"],
        "openid": transfer["openid"],
        "create_time": on_the_wire(transfer["created_at"]),
        "update_time": on_the_wire(transfer["updated_at"]),
    }
    if transfer["fail_reason"] is not None:
        content["fail_reason"] = transfer["fail_reason"]
    return content


def _numbers(transfer: sqlite3.Row) -> dict[str, Any]:
    return {"out_bill_no": transfer["out_bill_no"], "transfer_bill_no": transfer["transfer_bill_no"]}
