"""Hostile input at every door, drawn from the OpenAPI document where it applies to every route: 4xx, no effect, no delay."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from scene import Scene
from started import Started
from test_actors import DOCUMENT, SCHEMAS, body_of

pytestmark = pytest.mark.trial("R32")
POSTS = [
    pytest.param(method.upper(), path, operation, id=operation["operationId"])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if "requestBody" in operation
]
QUERIES = [
    pytest.param(path, operation, id=operation["operationId"])
    for path, methods in DOCUMENT["paths"].items()
    for operation in [methods.get("get", {})]
    if any(parameter["in"] == "query" for parameter in operation.get("parameters", ()))
]
every_body = pytest.mark.parametrize(("method", "path", "operation"), POSTS)
SQL = ("1;select pg_sleep(5)", "' OR '1'='1", "updatexml(1,1,1)", "1) UNION SELECT 1--", "(select pg_sleep(5))")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Started(tmp_path_factory.mktemp("attacks"), log_level="info") as shop:
        yield Scene(shop)


def _url(scene: Scene, path: str) -> str:
    return re.sub(r"{(\w+)}", lambda name: scene.ids(name[1], path)[0], path)


def _token(scene: Scene, path: str) -> str:
    return scene.manager if path.startswith("/admin/") else scene.token


def _raw(
    scene: Scene, method: str, path: str, content: bytes, content_type: str = "application/json"
) -> httpx.Response:
    headers = {
        "authorization": f"Bearer {_token(scene, path)}",
        "content-type": content_type,
        "idempotency-key": "attack-attack",
    }
    return scene.shop.http.request(method, _url(scene, path), content=content, headers=headers)


@every_body
def test_bytes_that_are_no_json(scene: Scene, method: str, path: str, operation: dict[str, Any]) -> None:
    good = json.dumps(body_of(operation)).encode()
    deep = b'{"a":' * 12_000
    for content in (
        *(
            b"",
            b"{",
            b"\xff\xfe{}",
            b"\xef\xbb\xbf" + good,
            good.decode().encode("utf-16"),
            b"null",
            b"[]",
            b'"a"',
            b"1",
        ),
        *(
            good + b"x",
            b'{"a": NaN}',
            b'{"a": -Infinity}',
            b'{"a": "\\ud800"}',
            b'{"a": "\xed\xa0\x80"}',
            b"[" * 60_000,
        ),
        *(deep, b'{"a": 1' + b"0" * 4000 + b"}", b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///'>]>"),
    ):
        answer = _raw(scene, method, path, content)
        assert answer.status_code == 400, (content[:40], answer.text)
    for size in (66_000, 11_000_000):
        assert _raw(scene, method, path, b'{"a": "' + b"a" * size + b'"}').status_code == 413


@every_body
def test_other_content_types(scene: Scene, method: str, path: str, operation: dict[str, Any]) -> None:
    good = json.dumps(body_of(operation)).encode()
    for content_type in (
        *("text/plain", "application/x-www-form-urlencoded", "application/xml", "text/xml", "application/msgpack"),
        *("multipart/form-data; boundary=x", "application/json-patch+json", "", "application/jsonp"),
    ):
        answer = _raw(scene, method, path, good, content_type)
        assert (answer.status_code, answer.json()["code"]) == (415, "wrong_content_type"), content_type


@every_body
def test_fields_that_nobody_asked_for(scene: Scene, method: str, path: str, operation: dict[str, Any]) -> None:
    """Neither a price nor an owner nor a state comes from a client."""
    body = body_of(operation)
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    known = SCHEMAS[reference]["properties"]
    for field in ("state", "status", "totalFen", "price", "discountFen", "memberId", "openid", "unionid", "paidAt"):
        if field not in known:
            answer = scene.shop.ask(method, _url(scene, path), _token(scene, path), {**body, field: 1})
            assert answer.status_code == 400, (field, answer.text)
            assert [error["field"] for error in answer.json()["errors"]] == [field]


def _texts(schema: dict[str, Any], body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each free text of a body, by name, with the body that has it spoilt."""
    for name, shape in schema["properties"].items():
        branches = [shape, *shape.get("anyOf", ())]
        if any(branch.get("type") == "string" for branch in branches) and not name.lower().endswith("password"):
            yield name, {**body, name: ""}


@every_body
def test_characters_that_lie(scene: Scene, method: str, path: str, operation: dict[str, Any]) -> None:
    """NUL, which no database takes; escapes, which fool a terminal; overrides, which turn a text round."""
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    for name, body in _texts(SCHEMAS[reference], body_of(operation)):
        for evil in ("a\0b", "a\x1b[31mb", "a\u202eb", "a\u2066b", "x" * 25_000):
            answer = scene.shop.ask(method, _url(scene, path), _token(scene, path), {**body, name: evil})
            assert answer.status_code == 400, (name, evil[:9], answer.text)
            assert [error["field"] for error in answer.json()["errors"]] == [name]


@every_body
def test_numbers_that_are_none(scene: Scene, method: str, path: str, operation: dict[str, Any]) -> None:
    body = body_of(operation)
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    shapes = SCHEMAS[reference]["properties"]
    for name in [name for name, value in body.items() if type(value) is int]:
        nothing = [] if "anyOf" in shapes[name] else [None]  # some numbers may be left to say nothing
        for evil in ("5", "1e2", 1.5, 28.0, -(2**31) * 2**32, 2**63, 2**64, True, [], {}, "", *nothing):
            answer = scene.shop.ask(method, _url(scene, path), _token(scene, path), {**body, name: evil})
            assert answer.status_code == 400, (name, evil, answer.text)


@pytest.mark.parametrize(("path", "operation"), QUERIES)
def test_queries_that_are_none(scene: Scene, path: str, operation: dict[str, Any]) -> None:
    """SQL is refused or looked for as it stands, at once."""
    known = {one["name"] for one in operation["parameters"] if one["in"] == "query"}
    for name in known:
        for evil in (
            *SQL,
            "%00",
            "a\0",
            "\ud800",
            "-1",
            "0",
            "9" * 30,
            "1e9",
            "NaN",
            "",
            "[]",
            "x" * 10_000,
            "%25",
            "_",
            "\\",
        ):
            url = _url(scene, path)
            began = time.monotonic()
            answer = scene.shop.http.get(
                url, params=[(name.encode(), evil.encode("utf-8", "surrogatepass"))], headers=_who(scene, path)
            )
            assert answer.status_code in {200, 400}, (name, evil[:30], answer.text)
            assert time.monotonic() - began < 2
    for limit in ("0", "-1", "101", "1000000", "1.5", "abc"):
        if "limit" in known:
            assert (
                scene.shop.http.get(_url(scene, path), params={"limit": limit}, headers=_who(scene, path)).status_code
                == 400
            )


def _who(scene: Scene, path: str) -> dict[str, str]:
    return {"authorization": f"Bearer {_token(scene, path)}"}


def test_the_last_of_two_counts(scene: Scene) -> None:
    """As documented, for fields and for query parameters."""
    content = b'{"skuId": "999999999", "skuId": "%s", "quantity": 3, "quantity": 1}' % scene.sku_id.encode()
    assert _raw(scene, "POST", "/api/v1/cart/items", content).status_code == 200
    answer = scene.shop.http.get("/api/v1/products?limit=0&limit=1")
    assert answer.status_code == 200
    assert scene.shop.http.get("/api/v1/products?limit=1&limit=0").status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        *("/media/../.env", "/media/%2e%2e%2fdatabase.env", "/media/..%5c..%5cx", "/media//etc/passwd", "/media/%00"),
        *("/media/....//x", "/docs-assets/../../pyproject.toml", "/docs-assets/%2e%2e/%2e%2e/x", "/docs/../../x"),
    ],
)
def test_no_file_that_is_not_offered(scene: Scene, path: str) -> None:
    answer = scene.shop.http.get(httpx.URL(scene.shop.url).copy_with(raw_path=path.encode()))
    assert answer.status_code in {400, 404}


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/api/v1/orders/{no}/pay-success",
            "/api/v1/orders/{no}/paid",
            "/paySuccess?orderNo={no}",
            "/api/v1/pay/notify",
        ),
        *("/cron", "/api/v1/cron", "/api/crontab/order/close", "/admin/v1/jobs", "/actuator/env", "/debug", "/schema"),
        *("/.env", "/.git/config", "/api/v1/upload", "/api/v1/members/{no}", "/api/v1/me/token", "/wechat/pay/test"),
    ],
)
def test_doors_other_shops_left_open(scene: Scene, path: str) -> None:
    for method in ("GET", "POST"):
        answer = scene.shop.ask(
            method, path.format(no=scene.no), scene.token, {"state": "paid"} if method == "POST" else None
        )
        assert answer.status_code in {404, 405}


def test_headers_of_others_change_nothing(scene: Scene) -> None:
    plain = scene.shop.http.get("/api/v1/products")
    for headers in (
        {"host": "evil.example"},
        {"x-forwarded-host": "evil.example", "x-forwarded-proto": "gopher", "forwarded": "for=1;host=evil.example"},
        {"x-original-url": "/admin/v1/staff", "x-rewrite-url": "/admin/v1/staff", "x-http-method-override": "DELETE"},
        {"x-litemall-token": scene.token, "x-access-token": scene.token, "cookie": f"token={scene.token}"},
    ):
        answer = scene.shop.http.get("/api/v1/products", headers=headers)
        assert (answer.status_code, answer.content) == (200, plain.content)
        assert "evil" not in str(answer.headers)
        assert scene.shop.http.get("/api/v1/me", headers=headers).status_code == 401


def test_two_authorizations_are_none(scene: Scene) -> None:
    twice = [("authorization", f"Bearer {scene.token}"), ("authorization", f"Bearer {scene.token}")]
    assert scene.shop.http.get("/api/v1/me", headers=twice).status_code == 401


def test_steps_out_of_order(scene: Scene) -> None:
    """A paid order is neither paid again nor cancelled nor confirmed; an unpaid one is not shipped."""
    ship = {"carrier": "SF", "trackingNo": "SF1234567890"}
    ask, paid, unpaid = scene.shop.ask, scene.paid_no, scene.no
    for method, path, token, body in (
        ("POST", f"/api/v1/orders/{paid}/prepay", scene.token, None),
        ("POST", f"/api/v1/orders/{paid}/cancel", scene.token, {}),
        ("POST", f"/api/v1/orders/{paid}/confirm", scene.token, None),
        ("POST", f"/admin/v1/orders/{paid}/close", scene.manager, {"reason": "x"}),
        ("POST", f"/api/v1/orders/{unpaid}/confirm", scene.token, None),
        ("POST", f"/admin/v1/orders/{unpaid}/ship", scene.manager, ship),
        ("POST", f"/admin/v1/orders/{unpaid}/refunds", scene.manager, {"reason": "x", "freightFen": 1}),
    ):
        answer = ask(method, path, token, body)
        assert answer.status_code == 409, (path, answer.text)
    assert ask("GET", f"/api/v1/orders/{paid}", scene.token).json()["state"] == "paid"
    assert ask("GET", f"/api/v1/orders/{unpaid}", scene.token).json()["state"] == "unpaid"


def test_no_order_is_larger_than_an_order_may_be(scene: Scene) -> None:
    """Fifty lines of the dearest thing there can be: refused by name, not by an overflow."""
    sku = {"code": "DEAR", "priceFen": 1_000_000_000}
    body = {"title": "x", "categoryId": scene.category_id, "skus": [sku], "images": ["/media/a.svg"]}
    product = scene.shop.done("POST", "/admin/v1/products", scene.manager, body)
    sku_id = product["skus"][0]["id"]
    scene.shop.done("POST", f"/admin/v1/products/{product['id']}/on-sale", scene.manager)
    adjust = {"delta": 1_000_000_000, "reason": "x"}
    scene.shop.done("POST", f"/admin/v1/stock/{sku_id}/adjust", scene.manager, adjust)
    wish = {"lines": [{"skuId": sku_id, "quantity": 9_999}] * 50, "addressId": scene.address_id, "expectedPayFen": 1}
    for path in ("/api/v1/checkout/preview", "/api/v1/orders"):
        sent = wish if path.endswith("orders") else {key: wish[key] for key in ("lines", "addressId")}
        answer = scene.shop.ask("POST", path, scene.token, sent)
        assert answer.status_code in {400, 422}, answer.text
    for _ in range(2):
        again = scene.shop.ask("POST", f"/admin/v1/stock/{sku_id}/adjust", scene.manager, adjust)
        assert again.status_code in {200, 409}, again.text


def test_one_line_of_log_for_each_request(scene: Scene) -> None:
    """Line feeds and escapes in a path or a header begin no line of their own."""
    forged = '/api/v1/orders/x%0a{"event":"forged"}%0d%0a%1b[31m'
    scene.shop.ask("GET", forged, scene.token)
    scene.shop.http.get("/api/v1/me", headers={"x-request-id": 'x{"event":"forged"}', "user-agent": "\x1b[31m"})
    lines = [json.loads(line) for line in scene.shop.log.read_text(encoding="utf-8").splitlines()]
    assert len(lines) > 20
    assert [line for line in lines if line["event"] == "forged"] == []
    assert [line for line in lines if line["event"] == "unhandled"] == []
