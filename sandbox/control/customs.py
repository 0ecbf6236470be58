"""Levers on customs: what an office makes of a declaration."""

from typing import Any, Literal

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler

from sandbox.control.levers import NotHere
from sandbox.pay.customs import declarations
from sandbox.world import World

PAGE = 200


class Verdict(msgspec.Struct, forbid_unknown_fields=True):
    """The state, with the office's words where it fails; ``customs`` and ``sub_order_no`` narrow it down."""

    state: Literal["UNDECLARED", "PROCESSING", "SUBMITTED", "SUCCESS", "FAIL", "EXCEPT"]
    explanation: str | None = None
    customs: str | None = None
    sub_order_no: str | None = None


def handlers(world: World) -> list[ControllerRouterHandler]:
    """The routes."""

    @get("/_sandbox/customs", summary="Declarations, the latest first")
    async def customs() -> dict[str, Any]:
        declarations.settle_due(world)
        rows = world.db.rows("SELECT * FROM declarations ORDER BY created_at DESC LIMIT ?", PAGE)
        return {"items": [declarations.view(world, row) for row in rows]}

    @post("/_sandbox/customs/{out_trade_no:str}/state", status_code=200, summary="What the office says")
    async def decide(data: JSONBody[Verdict], out_trade_no: FromPath[str]) -> dict[str, Any]:
        declarations.settle_due(world)
        sql = """SELECT sub_order_id FROM declarations WHERE out_trade_no = ? AND (? IS NULL OR customs = ?)
                 AND (? IS NULL OR sub_order_no = ?)"""
        narrowed = (data.customs, data.customs, data.sub_order_no, data.sub_order_no)
        found = world.db.rows(sql, out_trade_no, *narrowed)
        if not found:
            raise NotHere(f"No declaration of {out_trade_no}.")
        with world.db.transaction():
            moved = [declarations.move(world, row[0], data.state, explanation=data.explanation) for row in found]
        world.changed.set()
        return {"items": [declarations.view(world, row) for row in moved]}

    return [customs, decide]
