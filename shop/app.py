"""The composition root: what stands for the world is joined to the features here, and nowhere else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide
from litestar.openapi.spec import Tag

import catalog.admin
import catalog.controllers
import payments.admin
import payments.controllers
import shop.aftersales.admin
import shop.cart.controllers
import shop.members.controllers
import shop.orders.admin
import shop.orders.controllers
import shop.shipping.admin
from kit.clock import Clock, FollowedClock, SystemClock
from kit.database import Database
from kit.web import docs, health, problems
from kit.web.request import MAX_BODY_BYTES, StrictRequest
from kit.web.traffic import Traffic
from shop.settings import Settings

_DESCRIPTION = (
    "A shop for a WeChat Mini Program. Money is integer fen, ids are strings, times RFC 3339 UTC. Refusals are"
    " `application/problem+json` with a stable `code`; texts are Chinese, or English with `Accept-Language: en`."
)
_TAGS = [
    Tag("catalog", "What is for sale"),
    Tag("members", "Sign-in, phone, addresses"),
    Tag("cart", "What a member means to buy"),
    Tag("checkout", "Preview and placing"),
    Tag("orders", "Orders of a member, and their payment"),
    Tag("admin", "What staff call"),
    Tag("wechat", "What WeChat calls"),
    Tag("health", "Is it alive?"),
]


def clock_of(settings: Settings) -> Clock:
    """In dev the clock follows the simulated WeChat's."""
    return SystemClock() if settings.production else FollowedClock(settings.data_dir / "sandbox" / "clock")


def database_of(settings: Settings, *, pool_size: int = 8, name: str = "shop") -> Database:
    return Database(settings.database_url, pool_size=pool_size, pooler=settings.database_pooler, name=name)


def _version() -> str:
    try:
        return version("wechat-shop")
    except PackageNotFoundError:
        return "0.1.0"


def _api_routes() -> list[Any]:
    return [
        *catalog.controllers.ROUTES,
        *shop.members.controllers.ROUTES,
        *shop.cart.controllers.ROUTES,
        *shop.orders.controllers.ROUTES,
    ]


def _admin_routes() -> list[Any]:
    return [
        *catalog.admin.ROUTES,
        *payments.admin.ROUTES,
        *shop.shipping.admin.ROUTES,
        *shop.orders.admin.ROUTES,
        *shop.aftersales.admin.ROUTES,
    ]


def create_app(settings: Settings, *, clock: Clock | None = None) -> Litestar:
    """The whole shop as one ASGI application.

    `clock` stands in for what `settings` would give, for tests.
    """
    db = database_of(settings)
    clock = clock or clock_of(settings)

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await db.close()

    world = {"db": db, "clock": clock}
    return Litestar(
        route_handlers=[
            health.healthz,
            health.readyz,
            health.metrics,
            docs.assets(),
            Router("/api/v1", route_handlers=_api_routes()),
            Router("/admin/v1", route_handlers=_admin_routes(), tags=["admin"]),
            Router("/wechat", route_handlers=payments.controllers.ROUTES, tags=["wechat"]),
        ],
        dependencies={name: Provide(_given(thing), sync_to_thread=False) for name, thing in world.items()},
        exception_handlers=problems.HANDLERS,
        middleware=[Traffic],
        request_class=StrictRequest,
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=docs.openapi("WeChat shop", _version(), _DESCRIPTION, _TAGS),
        lifespan=[lifespan],
        debug=False,
        logging_config=None,
    )


def _given(thing: Any) -> Any:
    def provide() -> Any:
        return thing

    return provide
