"""Notices, written in the transaction of what they tell, so that a killed process forgets none."""

import secrets
import sqlite3
from collections.abc import Collection
from uuid import NAMESPACE_URL, uuid5

from sandbox.knobs import Delivery
from sandbox.world import World

LADDER_S = [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600]
"""The waits before the fifteen repeats: about 24 hours, then WeChat gives up."""


def post(world: World, *, kind: str, subject: str, url: str, event_type: str, summary: str, plaintext: str) -> None:
    """Write a notice and, as the delivery knob says, when it goes out first. The same event has one notice.

    Its id is a UUIDv5 of the event: stable across repeats.
    """
    now = world.clock.now()
    delivery = world.knobs.delivery
    mode = delivery.mode if kind in delivery.kinds else "normal"
    notice_id = str(uuid5(NAMESPACE_URL, f"{world.keys.identity.app_id}/{event_type}/{subject}/{now}"))
    world.db.insert(
        "notices",
        {
            "id": notice_id,
            "kind": kind,
            "subject": subject,
            "url": url,
            "event_type": event_type,
            "summary": summary,
            "plaintext": plaintext,
            "created_at": now,
            "next_at": _first_at(now, delivery) if mode == delivery.mode else now,
            "copies": 2 if mode == "twice" else 1,
            "state": "held" if mode == "never" else "waiting",
        },
    )
    world.changed.set()


def _first_at(now: float, delivery: Delivery) -> float | None:
    """``shuffled``: some time within the delay, so that what happened first need not be heard first."""
    if delivery.mode == "never":
        return None
    if delivery.mode == "shuffled":
        return now + secrets.randbelow(1000) * delivery.delay_s / 1000
    return now + (delivery.delay_s if delivery.mode == "late" else 0)


def due(world: World) -> list[sqlite3.Row]:
    """The notices to be sent now, the longest due first."""
    sql = "SELECT * FROM notices WHERE next_at <= ? ORDER BY next_at LIMIT 500"
    return world.db.rows(sql, world.clock.now())


def next_due(world: World, besides: Collection[str]) -> float | None:
    """The business time of the next attempt, not counting notices which are under way."""
    sql = "SELECT id, next_at FROM notices WHERE next_at IS NOT NULL ORDER BY next_at LIMIT ?"
    waiting = [row["next_at"] for row in world.db.rows(sql, len(besides) + 1) if row["id"] not in besides]
    return min(waiting, default=None)


def find(world: World, notice_id: str) -> sqlite3.Row | None:
    """One notice."""
    return world.db.row("SELECT * FROM notices WHERE id = ?", notice_id)


def heard(world: World, notice: sqlite3.Row) -> None:
    """The merchant said 200 or 204: done, unless the knob wants a duplicate."""
    copies = notice["copies"] - 1
    if copies > 0:
        sql = "UPDATE notices SET copies = ?, failures = 0, next_at = ? WHERE id = ?"
        world.db.write(sql, copies, world.clock.now(), notice["id"])
        world.changed.set()
        return
    world.db.write("UPDATE notices SET copies = 0, state = 'delivered', next_at = NULL WHERE id = ?", notice["id"])


def unheard(world: World, notice: sqlite3.Row) -> None:
    """Anything else: again after the next wait of the ladder, which is counted from now."""
    failures = notice["failures"]
    if failures >= len(LADDER_S):
        world.db.write("UPDATE notices SET state = 'given_up', next_at = NULL WHERE id = ?", notice["id"])
        return
    next_at = world.clock.now() + LADDER_S[failures]
    world.db.write("UPDATE notices SET failures = ?, next_at = ? WHERE id = ?", failures + 1, next_at, notice["id"])
