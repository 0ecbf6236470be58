"""What ``wx.login`` and the phone-number button hand out: good once, for five minutes, for one purpose each."""

import secrets

from sandbox.database import Value
from sandbox.miniprogram import users
from sandbox.miniprogram.errcodes import ErrCode
from sandbox.miniprogram.users import User
from sandbox.world import World

LIFE_S = 300
SHOWN_S = 120
"""How long a payment code that a telephone shows is good."""


def mint(world: World, kind: str, user: User) -> str:
    """A new code of ``login``, ``phone`` or ``payment`` (18 digits); they look different in reality as well."""
    if kind == "payment":
        code = f"13{secrets.randbelow(10**16):016d}"
    else:
        code = secrets.token_hex(32) if kind == "phone" else "0" + secrets.token_urlsafe(36).replace("_", "z")[:31]
    facts: dict[str, Value] = {"code": code, "kind": kind, "openid": user.openid, "created_at": world.clock.now()}
    world.db.insert("codes", facts)
    return code


def redeem(world: World, kind: str, code: str) -> User:
    """The user behind a code, which is used up by it.

    Raises :class:`ErrCode`: 40029 for an unknown, expired or other kind of code and, as the phone API's list has no
    other, for a used phone code; 40163 for a used login code; 40226 for a blocked user.
    """
    found = world.db.row("SELECT * FROM codes WHERE code = ? AND kind = ?", code, kind)
    if found is None:
        raise ErrCode(40029)
    if found["used_at"] is not None:
        raise ErrCode(40163 if kind == "login" else 40029)
    if world.clock.now() > found["created_at"] + LIFE_S:
        raise ErrCode(40029)
    user = users.find(world, found["openid"])
    assert user is not None
    if user.blocked:
        raise ErrCode(40226)
    world.db.write("UPDATE codes SET used_at = ? WHERE code = ?", world.clock.now(), code)
    return user
