"""Login and phone number: a code in, the person behind it out."""

import secrets
from base64 import b64encode
from collections import Counter
from typing import Any

from sandbox.miniprogram import codes, tokens
from sandbox.miniprogram.errcodes import ErrCode
from sandbox.world import World

LOGINS_A_MINUTE = 100

_recent: Counter[tuple[str, int]] = Counter()


def check_secret(world: World, app_id: object, secret: object) -> None:
    """Raises :class:`ErrCode` 41002, 40013, 41004 or 40125."""
    identity = world.keys.identity
    if not app_id:
        raise ErrCode(41002)
    if app_id != identity.app_id:
        raise ErrCode(40013)
    if not secret:
        raise ErrCode(41004)
    if secret != identity.app_secret:
        raise ErrCode(40125)


def log_in(world: World, query: dict[str, str]) -> dict[str, Any]:
    """``GET /sns/jscode2session``: openid and a new session key; no ``errcode`` when all went well."""
    check_secret(world, query.get("appid"), query.get("secret"))
    if query.get("grant_type") != "authorization_code":
        raise ErrCode(40002)
    if not query.get("js_code"):
        raise ErrCode(41008)
    user = codes.redeem(world, "login", query["js_code"])
    _count(world, user.openid)
    session_key = b64encode(secrets.token_bytes(16)).decode()
    world.db.write("UPDATE users SET session_key = ? WHERE openid = ?", session_key, user.openid)
    content = {"session_key": session_key, "openid": user.openid}
    return content | {"unionid": user.unionid} if user.unionid else content


def phone_number(world: World, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
    """``POST /wxa/business/getuserphonenumber``. An ``openid`` in the body must be the one the code was made for."""
    tokens.check(world, query.get("access_token"))
    code = body.get("code")
    if not isinstance(code, str) or not code:
        raise ErrCode(40029)
    if "openid" in body:
        made_for = world.db.row("SELECT openid FROM codes WHERE code = ?", code)
        if made_for and made_for["openid"] != body["openid"]:
            raise ErrCode(40029)
    user = codes.redeem(world, "phone", code)
    foreign = user.country_code != "86"
    info = {
        "phoneNumber": f"+{user.country_code}{user.phone}" if foreign else user.phone,
        "purePhoneNumber": user.phone,
        "countryCode": user.country_code,
        "watermark": {"timestamp": int(world.clock.now()), "appid": world.keys.identity.app_id},
    }
    return {"errcode": 0, "errmsg": "ok", "phone_info": info}


def _count(world: World, openid: str) -> None:
    minute = int(world.clock.now() // 60)
    for past in [key for key in _recent if key[1] < minute]:
        del _recent[past]
    _recent[openid, minute] += 1
    if _recent[openid, minute] > LOGINS_A_MINUTE:
        raise ErrCode(45011)
