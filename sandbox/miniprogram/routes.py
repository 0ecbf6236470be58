"""``api.weixin.qq.com``: every answer is HTTP 200, whatever it says."""

import json
from collections.abc import Callable
from typing import Any

from litestar import HttpMethod, Request, Response, route
from litestar.types import ControllerRouterHandler

from sandbox.miniprogram import errcodes, sessions, tokens
from sandbox.miniprogram.errcodes import ErrCode
from sandbox.world import World

LARGEST_BODY = 1 << 20
Ask = Callable[[dict[str, str], dict[str, Any]], dict[str, Any]]
BOTH = [HttpMethod.GET, HttpMethod.POST]


def handlers(world: World) -> list[ControllerRouterHandler]:
    """The calls this world answers; GET and POST alike, because the wrong one is an errcode as well."""

    @route("/sns/jscode2session", http_method=BOTH, status_code=200, include_in_schema=False)
    async def log_in(request: Request[Any, Any, Any]) -> Response[bytes]:
        return await _answer(request, lambda query, _: sessions.log_in(world, query))

    @route("/cgi-bin/token", http_method=BOTH, status_code=200, include_in_schema=False)
    async def token(request: Request[Any, Any, Any]) -> Response[bytes]:
        return await _answer(request, lambda query, _: _legacy(world, query))

    @route("/cgi-bin/stable_token", http_method=BOTH, status_code=200, include_in_schema=False)
    async def stable_token(request: Request[Any, Any, Any]) -> Response[bytes]:
        return await _answer(request, lambda _, body: _stable(world, body), posted=True)

    @route("/wxa/business/getuserphonenumber", http_method=BOTH, status_code=200, include_in_schema=False)
    async def phone_number(request: Request[Any, Any, Any]) -> Response[bytes]:
        return await _answer(request, lambda query, body: sessions.phone_number(world, query, body), posted=True)

    return [log_in, token, stable_token, phone_number]


async def _answer(request: Request[Any, Any, Any], ask: Ask, *, posted: bool = False) -> Response[bytes]:
    query = {name: value for name, value in request.query_params.items() if isinstance(value, str)}
    try:
        content = ask(query, await _body(request) if posted else {})
    except ErrCode as failure:
        content = errcodes.content(failure.errcode)
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(body, status_code=200, media_type="application/json; encoding=utf-8")


async def _body(request: Request[Any, Any, Any]) -> dict[str, Any]:
    if request.method != "POST":
        raise ErrCode(43002)
    raw = await request.body()
    if not raw:
        raise ErrCode(44002)
    try:
        content = json.loads(raw.decode())
    except (ValueError, RecursionError):
        raise ErrCode(47001) from None
    if not isinstance(content, dict):
        raise ErrCode(47001)
    return content


def _legacy(world: World, query: dict[str, str]) -> dict[str, Any]:
    if query.get("grant_type") != "client_credential":
        raise ErrCode(40002)
    sessions.check_secret(world, query.get("appid"), query.get("secret"))
    return _token(tokens.legacy(world))


def _stable(world: World, body: dict[str, Any]) -> dict[str, Any]:
    if body.get("grant_type") != "client_credential":
        raise ErrCode(40002)
    sessions.check_secret(world, body.get("appid"), body.get("secret"))
    return _token(tokens.stable(world, force=body.get("force_refresh") is True))


def _token(issued: tuple[str, int]) -> dict[str, Any]:
    return {"access_token": issued[0], "expires_in": issued[1]}
