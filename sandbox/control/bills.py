"""Levers on bills: there now instead of tomorrow at ten, and spoilt, to see who notices."""

from datetime import date
from typing import Any

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler

from sandbox.clock import on_the_wire
from sandbox.control.levers import NotNow
from sandbox.pay.bills import making
from sandbox.pay.bills.making import KINDS, Kind, Spoilt
from sandbox.world import World


class Spoil(msgspec.Struct, forbid_unknown_fields=True):
    """How the bill of a day lies; ``null`` mends it.

    ``hash`` announces another SHA-1, ``totals`` does not add up, ``cut_short`` lacks its last lines; rows that are
    missing, invented or of another amount stand above totals that fit them.
    """

    kind: Kind
    how: Spoilt | None


def handlers(world: World) -> list[ControllerRouterHandler]:
    """The routes."""

    @get("/_sandbox/bills", summary="Bills that were made, published by hand or spoilt")
    async def bills() -> dict[str, Any]:
        made = [{**dict(row), "made_at": on_the_wire(row["made_at"])} for row in world.db.rows("SELECT * FROM bills")]
        return {"made": made, "days": [dict(row) for row in world.db.rows("SELECT * FROM bill_days")]}

    @post("/_sandbox/bills/{day:str}/publish", status_code=200, summary="A day's bills as of now, even today's")
    async def publish(day: FromPath[str]) -> dict[str, Any]:
        for kind in KINDS:
            sql = """INSERT INTO bill_days (kind, day, published_at) VALUES (?, ?, ?)
                     ON CONFLICT DO UPDATE SET published_at = excluded.published_at"""
            world.db.write(sql, kind, str(_day(day)), world.clock.now())
            making.forget(world, kind, _day(day))
        return {"day": day, "published_at": on_the_wire(world.clock.now())}

    @post("/_sandbox/bills/{day:str}/spoil", status_code=200, summary="Let a day's bill be wrong")
    async def spoil(data: JSONBody[Spoil], day: FromPath[str]) -> Spoil:
        sql = """INSERT INTO bill_days (kind, day, spoilt) VALUES (?, ?, ?)
                 ON CONFLICT DO UPDATE SET spoilt = excluded.spoilt"""
        world.db.write(sql, data.kind, str(_day(day)), data.how)
        making.forget(world, data.kind, _day(day))
        return data

    return [bills, publish, spoil]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotNow("A day is written 2026-01-31.") from None
