"""Access tokens: the stable one, shared and renewed early, and the legacy one, where each call kills the last.

``POST /cgi-bin/stable_token`` and ``GET /cgi-bin/token``; the two kinds do not touch one another.
"""

import secrets
import sqlite3

from sandbox.clock import day
from sandbox.database import Value
from sandbox.miniprogram.errcodes import ErrCode
from sandbox.world import World

LIFE_S = 7200
OVERLAP_S = 300
FORCES_A_DAY = 20
FORCE_GAP_S = 30


def stable(world: World, *, force: bool) -> tuple[str, int]:
    """The token and the seconds it has left. Raises :class:`ErrCode` 45009 after twenty forced ones in a day."""
    with world.db.transaction():
        now = world.clock.now()
        current = _current(world, "stable", now)
        if force and _may_force(world, now):
            world.db.write("UPDATE tokens SET dead_at = ? WHERE kind = 'stable' AND dead_at IS NULL", now)
            return _issue(world, "stable", now, forced=True)
        # In the last five minutes a call renews; the old token lives on until its own end.
        if current is None or current["expires_at"] - now <= OVERLAP_S:
            return _issue(world, "stable", now)
        return current["token"], int(current["expires_at"] - now)


def legacy(world: World) -> tuple[str, int]:
    """A new token; the one before works for five more minutes."""
    with world.db.transaction():
        now = world.clock.now()
        sql = "UPDATE tokens SET dead_at = ? WHERE kind = 'legacy' AND dead_at IS NULL"
        world.db.write(sql, now + OVERLAP_S)
        return _issue(world, "legacy", now)


def check(world: World, token: str | None) -> None:
    """Raises :class:`ErrCode`: 41001 none, 40001 unknown or replaced, 42001 expired."""
    if not token:
        raise ErrCode(41001)
    found = world.db.row("SELECT * FROM tokens WHERE token = ?", token)
    now = world.clock.now()
    if found is None or (found["dead_at"] is not None and found["dead_at"] <= now):
        raise ErrCode(40001)
    if found["expires_at"] <= now:
        raise ErrCode(42001)


def expire(world: World) -> None:
    """A lever: every token is at its end now (42001)."""
    world.db.write("UPDATE tokens SET expires_at = min(expires_at, ?)", world.clock.now())


def rotate(world: World) -> None:
    """A lever: somebody else has fetched a token by force (40001)."""
    now = world.clock.now()
    with world.db.transaction():
        world.db.write("UPDATE tokens SET dead_at = ? WHERE dead_at IS NULL OR dead_at > ?", now, now)
        _issue(world, "stable", now)


def _may_force(world: World, now: float) -> bool:
    sql = "SELECT issued_at FROM tokens WHERE forced = 1 ORDER BY id DESC LIMIT ?"
    forced = [row["issued_at"] for row in world.db.rows(sql, FORCES_A_DAY)]
    if forced and now - forced[0] < FORCE_GAP_S:
        return False
    if len([at for at in forced if day(at) == day(now)]) >= FORCES_A_DAY:
        raise ErrCode(45009)
    return True


def _current(world: World, kind: str, now: float) -> sqlite3.Row | None:
    sql = "SELECT * FROM tokens WHERE kind = ? AND dead_at IS NULL AND expires_at > ? ORDER BY id DESC"
    return world.db.row(sql, kind, now)


def _issue(world: World, kind: str, now: float, *, forced: bool = False) -> tuple[str, int]:
    token = f"{'88' if kind == 'stable' else '87'}_{secrets.token_urlsafe(100)}"
    facts: dict[str, Value] = {
        "token": token,
        "kind": kind,
        "issued_at": now,
        "expires_at": now + LIFE_S,
        "forced": int(forced),
    }
    world.db.insert("tokens", facts)
    return token, LIFE_S
