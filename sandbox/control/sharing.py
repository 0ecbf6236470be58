"""Levers on profit sharing: which accounts fail, and what is frozen."""

from typing import Any, Literal

import msgspec
from litestar import get, post
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler

from sandbox.pay.sharing import steps
from sandbox.pay.sharing.objects import returned, view
from sandbox.world import World

PAGE = 200

ShareFails = Literal[
    "ACCOUNT_ABNORMAL",
    "NO_RELATION",
    "RECEIVER_HIGH_RISK",
    "RECEIVER_REAL_NAME_NOT_VERIFIED",
    "NO_AUTH",
    "RECEIVER_RECEIPT_LIMIT",
    "PAYER_ACCOUNT_ABNORMAL",
    "INVALID_REQUEST",
]
ReturnFails = Literal[
    "ACCOUNT_ABNORMAL", "BALANCE_NOT_ENOUGH", "TIME_OUT_CLOSED", "PAYER_ACCOUNT_ABNORMAL", "INVALID_REQUEST"
]


class Trouble(msgspec.Struct, forbid_unknown_fields=True):
    """Why shares with this account, or returns from it, fail from now on; ``null`` is no trouble."""

    account: str
    share_fails: ShareFails | None = None
    return_fails: ReturnFails | None = None


def handlers(world: World) -> list[ControllerRouterHandler]:
    """The routes."""

    @get("/_sandbox/sharing", summary="Share orders and returns, the latest first")
    async def sharing() -> dict[str, Any]:
        steps.settle_due(world)
        shares = world.db.rows("SELECT * FROM share_orders ORDER BY created_at DESC LIMIT ?", PAGE)
        backs = world.db.rows("SELECT * FROM share_returns ORDER BY created_at DESC LIMIT ?", PAGE)
        return {"orders": [view(world, row) for row in shares], "returns": [returned(world, row) for row in backs]}

    @post("/_sandbox/sharing/accounts", status_code=200, summary="Let shares or returns of an account fail")
    async def trouble(data: JSONBody[Trouble]) -> Trouble:
        sql = """INSERT INTO share_troubles VALUES (?, ?, ?) ON CONFLICT DO UPDATE
                 SET share_fails = excluded.share_fails, return_fails = excluded.return_fails"""
        world.db.write(sql, data.account, data.share_fails, data.return_fails)
        return data

    return [sharing, trouble]
