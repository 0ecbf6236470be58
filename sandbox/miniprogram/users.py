"""The people of this world, each known by a label and, to the merchant, by an openid that never changes."""

import hashlib
import sqlite3
from base64 import urlsafe_b64encode
from dataclasses import dataclass

from sandbox.world import World


@dataclass(frozen=True)
class User:
    """One person; ``unionid`` only where the Mini Program is bound to an Open Platform account."""

    label: str
    openid: str
    unionid: str | None
    phone: str
    country_code: str
    blocked: bool
    account_closed: bool


def meet(world: World, label: str, openid: str | None = None) -> User:
    """The user of this label, made on first use."""
    found = world.db.row("SELECT * FROM users WHERE label = ?", label)
    if found is not None:
        return _user(found)
    number = world.db.number("SELECT max(id) FROM users") + 1
    world.db.insert(
        "users",
        {
            "label": label,
            "openid": openid or _openid(world, label),
            "phone": str(13_800_000_000 + number),
            "created_at": world.clock.now(),
        },
    )
    return meet(world, label)


def find(world: World, openid: str) -> User | None:
    """The user of an openid."""
    found = world.db.row("SELECT * FROM users WHERE openid = ?", openid)
    return _user(found) if found else None


def everyone(world: World) -> list[User]:
    """All users, the first met first."""
    return [_user(row) for row in world.db.rows("SELECT * FROM users ORDER BY id")]


def change(world: World, label: str, facts: dict[str, str | int | None]) -> User:
    """Set facts of a user (``unionid``, ``phone``, ``country_code``, ``blocked``, ``account_closed``)."""
    meet(world, label)
    for name, value in facts.items():
        world.db.write(f"UPDATE users SET {name} = ? WHERE label = ?", value, label)  # noqa: S608 - our own names
    return meet(world, label)


def sub_openid(world: World, openid: str) -> str:
    """Who the user is to the sub-merchant's appid: another openid, which never changes either."""
    sql = "SELECT sub_openid FROM sub_openids WHERE openid = ?"
    if (known := world.db.row(sql, openid)) is None:
        call_sub(world, openid, "o" + _letters(f"{world.keys.identity.sub_app_id}:{openid}"))
        known = world.db.row(sql, openid)
    return str(known["sub_openid"]) if known else ""


def call_sub(world: World, openid: str, sub: str) -> None:
    """Remember a sub-merchant's openid; the user is made if nobody has this ``openid`` yet."""
    if find(world, openid) is None:
        meet(world, label=openid, openid=openid)
    world.db.write("INSERT INTO sub_openids VALUES (?, ?) ON CONFLICT DO NOTHING", sub, openid)


def of_sub_openid(world: World, sub: str) -> str | None:
    """The user's own openid of a sub-merchant's."""
    row = world.db.row("SELECT openid FROM sub_openids WHERE sub_openid = ?", sub)
    return str(row["openid"]) if row else None


def unionid_for(label: str) -> str:
    """An id of the right look: ``o`` and 27 characters, the same for the same label."""
    return "o" + _letters(f"unionid:{label}")


def _openid(world: World, label: str) -> str:
    return "o" + _letters(f"{world.keys.identity.app_id}:{label}")


def _letters(text: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()[:27]


def _user(row: sqlite3.Row) -> User:
    return User(
        label=row["label"],
        openid=row["openid"],
        unionid=row["unionid"],
        phone=row["phone"],
        country_code=row["country_code"],
        blocked=bool(row["blocked"]),
        account_closed=bool(row["account_closed"]),
    )
