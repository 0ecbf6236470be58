"""The one door to everything staff may call. A feature hands in its routes; it cannot forget the guard, and a route that
names no permission stops the start."""

from collections.abc import Iterable
from typing import Any, Final

import structlog
from litestar import Request, Router
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from kit.clock import Clock
from kit.database import Database
from kit.web.actor import Actor
from kit.web.limits import Limiter
from kit.web.router import OnlyRouter
from shop.admin import controllers, sessions
from shop.admin.roles import PERMISSIONS
from shop.members.edge import bearer

PATH: Final = "/admin/v1"
_ANY_STAFF: Final = frozenset(controllers.OWN_ROUTES)
"""What everyone on the staff may do with their own account, whatever their role."""


class Unguarded(AssertionError):
    """A route under /admin/v1 names no permission: give it `guards=[requires("…")]`."""


def guarded(routes: Iterable[Any], db: Database, clock: Clock, limiter: Limiter) -> list[Router]:
    """Everything under /admin/v1: sign-in, open; all else behind a live staff session, which becomes `scope["actor"]`.

    A route with `export=True` counts as a download of much at once. Raises `Unguarded` when a route names no permission, so that forgetting one is found at start, not by a clerk.
    """

    async def admit(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        token = bearer(Request(connection.scope))
        staff = await sessions.who(db, token, clock.now())
        actor = Actor(kind="staff", id=staff.id, name=staff.name, permissions=PERMISSIONS[staff.role])
        connection.scope["actor"] = actor  # type: ignore[typeddict-unknown-key]
        structlog.contextvars.bind_contextvars(staff=actor.id)
        structlog.contextvars.bind_contextvars(actor=actor.label)
        limiter.staff(staff.id, export="export" in handler.opt)

    behind = [*controllers.ROUTES, *routes]
    for route in behind:
        _check(route)
    return [
        OnlyRouter(PATH, route_handlers=[controllers.sign_in], tags=["admin"]),
        OnlyRouter(PATH, route_handlers=behind, guards=[admit], tags=["admin"], security=[{"staff": []}]),
    ]


def _check(route: Any) -> None:
    if route in _ANY_STAFF:
        return
    guards = route.guards or ()
    if not any(hasattr(guard, "permission") for guard in guards):
        raise Unguarded(str(route))
