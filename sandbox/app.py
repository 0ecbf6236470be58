"""The composition root: WeChat Pay below ``/v3``, the platform, the levers and the phone, faults before them all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar, Router, asgi
from litestar.enums import ScopeType
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import ASGIApp, Receive, Scope, Send

from sandbox import calls, clockwork, faults
from sandbox.control import bills, customs, levers, mail, money, people, purse, sharing, transfers, world_routes
from sandbox.inspection import page as inspection
from sandbox.miniprogram import routes as miniprogram
from sandbox.notices.postman import Postman
from sandbox.pay import door
from sandbox.phone import routes as phone
from sandbox.world import World


def create_app(world: World) -> ASGIApp:
    """Everything this world answers, and the clockwork that runs beside it."""
    postman = Postman(world)

    @asgi("/v3", is_mount=True, copy_scope=False)
    async def pay(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            await door.serve(world, scope, receive, send)

    control = Router(
        "/",
        guards=[levers.from_this_machine],
        route_handlers=[
            *world_routes.handlers(world),
            *people.handlers(world),
            *money.handlers(world),
            *purse.handlers(world),
            *bills.handlers(world),
            *transfers.handlers(world),
            *sharing.handlers(world),
            *customs.handlers(world),
            *mail.handlers(world, postman),
            *phone.handlers(world),
            *inspection.handlers(world),
        ],
        exception_handlers={levers.NotNow: levers.not_now, levers.NotHere: levers.not_here},
    )

    @asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        task = asyncio.create_task(clockwork.run(world, postman))
        yield
        task.cancel()
        await postman.close()
        world.db.close()

    app = Litestar(
        [pay, control, *miniprogram.handlers(world)],
        lifespan=[running],
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="Sandbox levers",
            version="1",
            path="/_sandbox/docs",
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        ),
    )
    return calls.noted(faults.disturb(app, world.faults), world.calls)
