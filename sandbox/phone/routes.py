"""The buyer's telephone as a web page; it uses the levers like anybody else."""

from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from sandbox.clock import on_the_wire
from sandbox.control import mail, money, transfers
from sandbox.control.levers import NotHere
from sandbox.miniprogram import users
from sandbox.world import World

FOLDER = Path(__file__).parent
KINDS = {
    "phone.css": "text/css; charset=utf-8",
    "phone.js": "text/javascript; charset=utf-8",
    "elements.js": "text/javascript; charset=utf-8",
    "drawer.js": "text/javascript; charset=utf-8",
    "transfers.js": "text/javascript; charset=utf-8",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
SHOWN = 50


def handlers(world: World) -> list[ControllerRouterHandler]:
    """The page, its style and script, and the one answer it polls."""

    @get("/phone", include_in_schema=False)
    async def page() -> Response[bytes]:
        return _file("page.html", "text/html; charset=utf-8")

    @get("/phone/{name:str}", include_in_schema=False)
    async def part(name: FromPath[str]) -> Response[bytes]:
        if name not in KINDS:
            raise NotHere(f"No {name}.")
        return _file(name, KINDS[name])

    @get("/_sandbox/phone", summary="Everything the phone page shows")
    async def state() -> dict[str, Any]:
        return {
            "clock": {"offset_s": world.clock.offset_s, "now": on_the_wire(world.clock.now())},
            "users": [asdict(user) for user in users.everyone(world)][-SHOWN:],
            "payments": money.list_payments(world, None, SHOWN),
            "refunds": money.list_refunds(world, SHOWN),
            "transfers": transfers.list_transfers(world, SHOWN),
            "shop": world.knobs.shop_name,
            "delivery": msgspec.to_builtins(world.knobs.delivery),
            "notices": mail.list_notices(world, limit=SHOWN),
        }

    @get("/cgi-bin/mmpayweb-bin/checkmweb", include_in_schema=False)
    async def h5(request: Request[Any, Any, Any]) -> Redirect:
        """Where an ``h5_url`` leads: on a telephone WeChat would open, here the page does."""
        prepay_id = request.query_params.get("prepay_id", "")
        return Redirect("/phone?" + urlencode({"prepay_id": prepay_id}), status_code=302)

    return [page, part, state, h5]


def _file(name: str, kind: str) -> Response[bytes]:
    return Response((FOLDER / name).read_bytes(), media_type=kind, headers=HEADERS)
