"""Levers on notifications: when they go out, what came back, and one more now."""

import sqlite3
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler

from sandbox.clock import on_the_wire
from sandbox.control.levers import NotHere, NotNow
from sandbox.knobs import Delivery
from sandbox.notices import outbox
from sandbox.notices.letters import Variant
from sandbox.notices.postman import Postman
from sandbox.world import World

PAGE = 200


class Parcel(msgspec.Struct, forbid_unknown_fields=True):
    """How the extra attempt goes wrong, if at all."""

    variant: Variant | None = None


def handlers(world: World, postman: Postman) -> list[ControllerRouterHandler]:
    """The routes."""

    @get("/_sandbox/delivery", summary="What happens to new notices")
    async def delivery() -> Delivery:
        return world.knobs.delivery

    @post("/_sandbox/delivery", status_code=200, summary="Deliver new notices normally, late, twice or never")
    async def set_delivery(data: JSONBody[Delivery]) -> Delivery:
        world.knobs.delivery = data
        world.keep_knobs()
        return data

    @get("/_sandbox/notifications", summary="Notices and every attempt, the latest first")
    async def notifications(subject: FromQuery[str | None] = None) -> dict[str, Any]:
        return {"items": list_notices(world, subject)}

    @post("/_sandbox/notifications/{notice_id:str}/deliver", status_code=200, summary="One attempt now")
    async def deliver(request: Request[Any, Any, Any], notice_id: FromPath[str]) -> dict[str, Any]:
        notice = outbox.find(world, notice_id)
        if notice is None:
            raise NotHere(f"No notification {notice_id}.")
        status = await postman.deliver(notice, (await _parcel(request)).variant)
        return {"id": notice_id, "status": status, "attempt": _attempts(world, notice_id)[-1]}

    return [delivery, set_delivery, notifications, deliver]


def list_notices(world: World, subject: str | None = None, limit: int = PAGE) -> list[dict[str, Any]]:
    """Notices as the levers show them; ``subject`` is an out_trade_no or out_refund_no."""
    sql = "SELECT * FROM notices WHERE (? IS NULL OR subject = ?) ORDER BY created_at DESC, rowid DESC LIMIT ?"
    return [_notice(world, row) for row in world.db.rows(sql, subject, subject, limit)]


def _notice(world: World, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "kind": row["kind"],
        "event_type": row["event_type"],
        "subject": row["subject"],
        "url": row["url"],
        "state": row["state"],
        "created_at": on_the_wire(row["created_at"]),
        "next_at": on_the_wire(row["next_at"]) if row["next_at"] is not None else None,
        "attempts": _attempts(world, row["id"]),
    }


def _attempts(world: World, notice_id: str) -> list[dict[str, Any]]:
    rows = world.db.rows("SELECT * FROM attempts WHERE notice_id = ? ORDER BY id", notice_id)
    names = ("status", "variant", "answer", "error", "took_ms")
    return [{"at": on_the_wire(row["at"]), **{name: row[name] for name in names}} for row in rows]


async def _parcel(request: Request[Any, Any, Any]) -> Parcel:
    raw = await request.body()
    try:
        return msgspec.json.decode(raw, type=Parcel) if raw.strip() else Parcel()
    except (msgspec.ValidationError, msgspec.DecodeError) as why:
        raise NotNow(str(why)) from None
