"""No route under /admin/v1 is without the guard, and roles are what their table says."""

import re
from typing import Any

import httpx
import pytest
from litestar import Litestar, get, post

from kit.clock import ManualClock
from kit.database import Database
from kit.web.actor import requires
from kit.web.limits import Limiter
from kit.web.peer import Peers
from shop.admin import controllers, router
from shop.admin.roles import CLERK, MANAGER, PERMISSIONS, Role

pytestmark = pytest.mark.anyio
OPEN = {("POST", "/admin/v1/sign-in")}
OWN = {("POST", "/admin/v1/sign-out"), ("GET", "/admin/v1/me"), ("POST", "/admin/v1/me/password")}


def _routes(app: Litestar) -> list[tuple[str, str, Any]]:
    found = []
    for route in app.routes:
        if route.path.startswith("/admin"):
            for handler in route.route_handlers:
                found += [(method, route.path_format, handler) for method in handler.http_methods - {"OPTIONS"}]
    return found


def _permission(handler: Any) -> str | None:
    return next((guard.permission for guard in handler.guards or () if hasattr(guard, "permission")), None)


def _filled(path: str) -> str:
    return re.sub(r"{[^}]+}", "1", path.removeprefix("/admin/v1"))


async def test_every_route_refuses_whoever_is_not_signed_in(app: Litestar, office: httpx.AsyncClient) -> None:
    routes = [(method, path) for method, path, _ in _routes(app) if (method, path) not in OPEN]
    assert len(routes) > 8
    for method, path in routes:
        for headers in ({}, {"authorization": "Bearer " + "A" * 43}, {"authorization": "Basic YWRtaW46YWRtaW4="}):
            answer = await office.request(method, _filled(path), headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_needed"), (method, path)


async def test_a_clerk_passes_exactly_where_the_table_says(app: Litestar, ben: Any) -> None:
    for method, path, handler in _routes(app):
        if (method, path) in OPEN | OWN:
            continue
        permission = _permission(handler)
        assert permission in MANAGER, (method, path, permission)
        answer = await ben.ask(method, _filled(path))
        refused = answer.status_code == 403 and answer.json()["code"] == "not_permitted"
        assert refused is (permission not in CLERK), (method, path, answer.status_code)


async def test_a_managers_rights_are_read_at_every_request(ann: Any, ben: Any) -> None:
    assert (await ben.ask("GET", "/staff")).status_code == 403
    assert (await ann.ask("PUT", f"/staff/{ben.id}", {"role": "manager"})).status_code == 200
    assert (await ben.ask("GET", "/staff")).status_code == 200


async def test_a_members_token_opens_no_admin_route(office: httpx.AsyncClient, ann: Any) -> None:
    answer = await office.get("http://shop/api/v1/me", headers={"authorization": f"Bearer {ann.token}"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "path", ["//admin/v1/staff", "/ADMIN/v1/staff", "/admin/v1/staff;x", "/admin/v1/%2e/staff", "/admin/v1//staff"]
)
async def test_odd_spellings_lead_nowhere_unguarded(office: httpx.AsyncClient, path: str) -> None:
    answer = await office.get(f"http://shop{path}")
    assert answer.status_code in {401, 404}


async def test_a_route_without_a_permission_stops_the_start(db: Database, clock: ManualClock) -> None:
    @get("/forgotten")
    async def forgotten() -> None: ...

    @post("/kept", guards=[requires("orders.read")])
    async def kept() -> None: ...

    router.guarded([kept], db, clock, Limiter(Peers(), {}))
    with pytest.raises(router.Unguarded):
        router.guarded([kept, forgotten], db, clock, Limiter(Peers(), {}))


async def test_the_roles_are_named_and_nested() -> None:
    assert set(PERMISSIONS) == set(Role)
    assert CLERK < MANAGER
    assert not {permission for permission in CLERK if permission.endswith((".write", ".adjust", ".refund", ".manage"))}
    assert set(controllers.OWN_ROUTES) < set(controllers.ROUTES)
