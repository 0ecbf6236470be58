"""Every route against every actor, drawn from the OpenAPI document, on a shop that really runs.

Nobody, another member, the owner, a clerk, a manager: who may not, may not, and learns nothing.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from scene import Scene
from started import Started

from shop.admin.roles import CLERK
from shop.app import create_app
from shop.settings import placeholder

pytestmark = pytest.mark.trial("R30")
DOCUMENT = json.loads(Path(__file__).with_name("openapi.json").read_text(encoding="utf-8"))
SCHEMAS = DOCUMENT["components"]["schemas"]
MISSING = {"no": "D" + "0" * 22, "day": "2026-01-02", "kind": "trade"}
NOWHERE = "9007199254740991"
OWNED = {"no", "address_id", "sku_id"}
"""What a member's path may name that is that member's alone."""
WORDS = ("13800000000", "alice-01", "2026", "SF1234567890", "/a.png", "a long enough word", "130000000000000001")


def _routes(prefix: str, door: str = "") -> list[Any]:
    """Those behind this door: `member`, `staff`; or all."""
    return [
        pytest.param(method.upper(), path, operation, id=operation["operationId"])
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        if path.startswith(prefix) and (not door or {door: []} in operation.get("security", ()))
    ]


def each(routes: list[Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("method", "path", "operation"), routes)


MEMBERS = _routes("/api/", "member")
STAFF = _routes("/admin/", "staff")
THEIRS = [case for case in MEMBERS if OWNED & set(re.findall(r"{(\w+)}", case.values[1]))]
READS = [case for case in _routes("/") if case.values[0] == "GET"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Started(tmp_path_factory.mktemp("actors")) as shop:
        yield Scene(shop)


@pytest.fixture(scope="module")
def mallory(scene: Scene) -> str:
    return scene.somebody_else()


def example(schema: dict[str, Any]) -> Any:
    """The least that fits."""
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        schema = schema["anyOf"][0]
    match schema.get("type"):
        case "object":
            least = {name: example(schema["properties"][name]) for name in schema.get("required", ())}
            return least | ({"province": "广东省"} if "province" in least else {})  # orders go there afterwards
        case "array":
            return [example(schema["items"])] * schema.get("minItems", 0)
        case "integer":
            return max(schema["minimum"], 1)
        case "boolean":
            return True
    words = schema.get("enum", WORDS)
    return next(word for word in words if re.search(schema.get("pattern", ""), word) and _fits(schema, word))


def _fits(schema: dict[str, Any], word: str) -> bool:
    return schema.get("minLength", 0) <= len(word) <= schema.get("maxLength", 999)


def body_of(operation: dict[str, Any]) -> Any:
    if "requestBody" not in operation:
        return None
    return example(operation["requestBody"]["content"]["application/json"]["schema"])


def _filled(path: str, ids: dict[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda name: ids[name[1]], path)


def _of(scene: Scene, path: str) -> dict[str, str]:
    return {name: scene.ids(name, path)[0] for name in re.findall(r"{(\w+)}", path)}


def _nowhere(path: str) -> dict[str, str]:
    return {name: MISSING.get(name, NOWHERE) for name in re.findall(r"{(\w+)}", path)}


def _digest(scene: Scene, *but: str) -> dict[str, str]:
    """What every table holds, in short."""
    tables = [row["tablename"] for row in scene.shop.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    one = "SELECT '{0}' AS name, md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) AS sum FROM \"{0}\" t"
    rows = scene.shop.sql(" UNION ALL ".join(one.format(table) for table in tables if table not in but))
    return {row["name"]: row["sum"] for row in rows}


def _without_id(answer: httpx.Response) -> tuple[int, dict[str, Any], list[str]]:
    return answer.status_code, answer.json() | {"requestId": ""}, sorted(answer.headers)


@each(MEMBERS + STAFF)
@pytest.mark.parametrize("with_body", [True, False], ids=["good body", "no body"])
def test_nobody_gets_in(scene: Scene, method: str, path: str, operation: dict[str, Any], *, with_body: bool) -> None:
    """Also with a body that is wrong: who is not signed in learns nothing of what would be right."""
    body = body_of(operation) if with_body else None
    url = _filled(path, _of(scene, path))
    for header in ({}, {"authorization": "Bearer " + "A" * 43}, {"authorization": f"Basic {scene.token}"}):
        answer = scene.shop.ask(method, url, "", body, **header)
        assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_needed")
        assert answer.headers["www-authenticate"] == "Bearer"
    in_query = scene.shop.ask(method, f"{url}?access_token={scene.token}&token={scene.manager}", "", body)
    assert in_query.status_code == 401


@each(STAFF)
def test_a_members_token_is_nothing_to_the_staffs_door(
    scene: Scene, method: str, path: str, operation: dict[str, Any]
) -> None:
    answer = scene.shop.ask(method, _filled(path, _of(scene, path)), scene.token, body_of(operation))
    assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_needed")


@each(MEMBERS)
def test_a_staff_token_is_nothing_to_the_members_door(
    scene: Scene, method: str, path: str, operation: dict[str, Any]
) -> None:
    answer = scene.shop.ask(method, _filled(path, _of(scene, path)), scene.manager, body_of(operation))
    assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_needed")


def _permissions() -> dict[tuple[str, str], str]:
    """What each route's guard asks for."""
    found = {}
    for route in create_app(placeholder()).routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            if isinstance(handler, HTTPRouteHandler):
                for guard in handler.guards or ():
                    if hasattr(guard, "permission"):
                        found |= {(method, route.path_format): guard.permission for method in handler.http_methods}
    return found


PERMISSIONS = _permissions()


@each([case for case in STAFF if PERMISSIONS.get((case.values[0], case.values[1]), "") not in {"", *CLERK}])
def test_a_clerk_may_not_what_a_manager_may(scene: Scene, method: str, path: str, operation: dict[str, Any]) -> None:
    before = _digest(scene)
    for body in (body_of(operation), None):
        for ids in (_of(scene, path), _nowhere(path)):
            answer = scene.shop.ask(method, _filled(path, ids), scene.clerk, body)
            assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
    assert _digest(scene) == before


@each(THEIRS)
def test_what_is_anothers_is_not_there(
    scene: Scene, mallory: str, method: str, path: str, operation: dict[str, Any]
) -> None:
    """Word for word the answer for what does not exist, and nothing changes."""
    before = _digest(scene, "idempotency_key")
    body = body_of(operation)
    missing = _without_id(scene.shop.ask(method, _filled(path, _nowhere(path)), mallory, body))
    assert missing[0] == 404
    (name,) = OWNED & set(re.findall(r"{(\w+)}", path))
    for owned in scene.ids(name, path):
        assert _without_id(scene.shop.ask(method, _filled(path, {name: owned}), mallory, body)) == missing
    assert _digest(scene, "idempotency_key") == before


@each(THEIRS)
def test_it_is_there_for_its_owner(scene: Scene, method: str, path: str, operation: dict[str, Any]) -> None:
    """The test above would be blind if nothing were there at all."""
    if method == "DELETE":
        pytest.skip("would take it away from the others")
    answer = scene.shop.ask(method, _filled(path, _of(scene, path)), scene.token, body_of(operation))
    assert answer.status_code in {200, 201, 409}, answer.text


@each(READS)
def test_reading_changes_nothing(scene: Scene, method: str, path: str, operation: dict[str, Any]) -> None:
    token = scene.manager if path.startswith("/admin/") else scene.token
    if operation["operationId"].startswith("drawPayCode"):
        scene.to_scan()
    noted = ("audit_entry",) if operation["operationId"] == "downloadBill" else ()  # who took a copy is written down
    before = _digest(scene, *noted)
    answer = scene.shop.ask(method, _filled(path, _of(scene, path)), token)
    assert answer.is_success, answer.text
    scene.shop.ask("HEAD", _filled(path, _of(scene, path)), token)
    assert _digest(scene, *noted) == before


@each(MEMBERS + STAFF)
def test_answers_are_kept_by_nobody_between(scene: Scene, method: str, path: str, operation: dict[str, Any]) -> None:
    answer = scene.shop.ask(method, _filled(path, _nowhere(path)), "", None, origin="https://evil.example")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@each(_routes("/"))
def test_other_methods_and_spellings_lead_nowhere(
    scene: Scene, method: str, path: str, operation: dict[str, Any]
) -> None:
    token = scene.manager if path.startswith("/admin/") else scene.token
    url = _filled(path, _of(scene, path))
    known = {verb.upper() for verb in DOCUMENT["paths"][path]}
    before = _digest(scene)
    for other in {"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE"} - known:
        answer = scene.shop.ask(other, url, token, None)
        assert answer.status_code in {404, 405}, (other, answer.text)
        assert answer.json()["requestId"] == answer.headers["x-request-id"] != ""
        if answer.status_code == 405:
            assert known <= set(answer.headers["allow"].split(", "))
    head, _, last = url.rpartition("/")
    for spelling in (f"{url}/x/y", f"{head}//{last}x", f"{url};x", url.upper(), f"{head}/%2e%2e/{last}/x", f"{url}%00"):
        answer = scene.shop.ask(method, spelling, token, body_of(operation))
        assert 400 <= answer.status_code < 500, (spelling, answer.text)
    assert _digest(scene) == before


@each([case for case in READS if "{" not in case.values[1] and case.values[1].startswith(("/api", "/admin"))])
def test_filters_nobody_offers_open_nothing(
    scene: Scene, mallory: str, method: str, path: str, operation: dict[str, Any]
) -> None:
    """`?memberId=…&all=true` shows a member nothing more than without."""
    if path.startswith("/admin/"):
        plain, asked = (scene.shop.ask(method, f"{path}{query}", scene.clerk) for query in ("", "?all=true&fields=*"))
    else:
        query = f"?memberId={scene.member_id}&member_id={scene.member_id}&all=true&fields=*&include=session"
        plain, asked = (scene.shop.ask(method, f"{path}{query}", mallory) for query in ("", query))
    assert asked.status_code == plain.status_code
    if plain.is_success:
        assert _timeless(asked) == _timeless(plain)


def _timeless(answer: httpx.Response) -> str:
    return re.sub(r'"payLeftMs":\d+|"exportedAt":"[^"]*"', "", answer.text)
