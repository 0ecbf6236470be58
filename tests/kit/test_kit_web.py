"""Bodies are strict, refusals are problem+json, ids are in every answer."""

from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.params import JSONBody

from kit.errors import Conflict
from kit.fields import Id, Quantity, Word
from kit.web import problems
from kit.web.parameters import QueryLimit
from kit.web.request import MAX_BODY_BYTES, StrictRequest
from kit.web.traffic import Traffic


class Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    sku_id: Id
    quantity: Quantity
    note: Word = "-"


class SoldOut(Conflict):
    """Only {left_over} left."""

    zh = "只剩 {left_over} 件"


@post("/echo", status_code=200)
async def echo(data: JSONBody[Body]) -> Body:
    return data


@get("/list")
async def listing(limit: QueryLimit = 20) -> int:
    return limit


@get("/refused")
async def refused() -> None:
    raise SoldOut(left_over=3)


class Draft(Conflict):
    """“{title}” is {status}."""

    zh = "“{title}”的状态是 {status}"


@get("/draft")
async def draft() -> None:
    raise Draft(title="tea", status="draft", price_fen=3)


@get("/broken")
async def broken() -> None:
    raise RuntimeError("phone 13812345678")


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar(
        [echo, listing, refused, draft, broken],
        request_class=StrictRequest,
        exception_handlers=problems.HANDLERS,
        middleware=[Traffic],
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=None,
        logging_config=None,
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://x"
    ) as client:
        yield client


GOOD = b'{"skuId": "7", "quantity": 2}'


async def _post(http: httpx.AsyncClient, body: bytes, content_type: str = "application/json") -> httpx.Response:
    return await http.post("/echo", content=body, headers={"content-type": content_type})


async def test_good(http: httpx.AsyncClient) -> None:
    answer = await _post(http, GOOD)
    assert (answer.status_code, answer.json()) == (200, {"skuId": "7", "quantity": 2, "note": "-"})
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"skuId": "7", "quantity": 0}', "quantity"),
        (b'{"skuId": "7", "quantity": -1}', "quantity"),
        (b'{"skuId": "7", "quantity": 1.5}', "quantity"),
        (b'{"skuId": "7", "quantity": 28.0}', "quantity"),
        (b'{"skuId": "7", "quantity": "5"}', "quantity"),
        (b'{"skuId": "7", "quantity": null}', "quantity"),
        (b'{"skuId": "7", "quantity": true}', "quantity"),
        (b'{"skuId": "7", "quantity": 9223372036854775808}', "quantity"),
        (b'{"skuId": "7", "quantity": ' + b"9" * 4000 + b"}", "quantity"),
        (b'{"skuId": 7, "quantity": 1}', "skuId"),
        (b'{"skuId": "07", "quantity": 1}', "skuId"),
        (b'{"skuId": "7\\n", "quantity": 1}', "skuId"),
        (b'{"skuId": "99999999999999999", "quantity": 1}', "skuId"),
        (b'{"quantity": 1}', "skuId"),
        (b'{"skuId": "7", "quantity": 1, "price": 1}', "price"),
        (b'{"skuId": "7", "quantity": 1, "note": "a\\u0000b"}', "note"),
        (b'{"skuId": "7", "quantity": 1, "note": "a\\u202eb"}', "note"),
        (b"[]", "body"),
    ],
)
async def test_a_bad_field_is_named(http: httpx.AsyncClient, body: bytes, field: str) -> None:
    answer = await _post(http, body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "invalid_input"
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b'{"skuId": "7", "quantity": NaN}', b"[" * 30_000, b'"\\ud800"', b"\xef\xbb\xbf{}"]
)
async def test_what_is_not_json_is_400(http: httpx.AsyncClient, body: bytes) -> None:
    assert (await _post(http, body)).status_code == 400


async def test_other_content_types_are_415(http: httpx.AsyncClient) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/xml", "application/msgpack"):
        assert (await _post(http, GOOD, content_type)).status_code == 415


async def test_a_large_body_is_413(http: httpx.AsyncClient) -> None:
    assert (await _post(http, b'{"note": "' + b"a" * MAX_BODY_BYTES + b'"}')).status_code == 413


async def test_facts_in_both_languages(http: httpx.AsyncClient) -> None:
    answer = await http.get("/refused")
    assert answer.status_code == 409
    assert answer.json() | {"requestId": ""} == {
        "type": "about:blank",
        "title": "只剩 3 件",
        "detail": "只剩 3 件",
        "status": 409,
        "code": "sold_out",
        "requestId": "",
        "leftOver": 3,
    }
    english = await http.get("/refused", headers={"accept-language": "en-GB"})
    assert english.json()["title"] == "Only 3 left."


async def test_a_fact_takes_no_members_place(http: httpx.AsyncClient) -> None:
    answer = (await http.get("/draft", headers={"accept-language": "en"})).json()
    assert (answer["title"], answer["status"], answer["priceFen"]) == ("“tea” is draft.", 409, 3)


async def test_a_bug_is_a_500_without_its_words(http: httpx.AsyncClient) -> None:
    answer = await http.get("/broken", headers={"x-request-id": "given-by-client-1"})
    assert answer.status_code == 500
    assert "138" not in answer.text
    assert answer.json()["requestId"] == answer.headers["x-request-id"] == "given-by-client-1"


async def test_unknown_paths_methods_and_parameters(http: httpx.AsyncClient) -> None:
    assert (await http.get("/nothing")).json()["code"] == "not_found"
    wrong = await http.delete("/echo")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert "POST" in wrong.headers["allow"]
    for limit in ("0", "101", "x", "1.5", "9" * 30):
        assert (await http.get("/list", params={"limit": limit})).status_code == 400, limit
