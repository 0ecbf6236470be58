"""A member's order pages before routing are the routes' own, byte for byte; whatever is not plainly asked goes the long way."""

import json
from typing import Any

import pytest
from cast import Buyer, Shop
from unheard import Unheard

from kit.database import Database
from kit.errors import Problem
from kit.web.limits import Limiter
from kit.web.peer import Peers
from shop.members.sessions import Sessions
from shop.orders.own_pages import OwnPages


class Believed(Unheard):
    """News under which a session stays known."""

    def holds(self, read_at: float) -> bool:
        return True


def _token(buyer: Buyer) -> str:
    return buyer.headers["authorization"].removeprefix("Bearer ")


class Desk:
    """The pages as one process gives them."""

    def __init__(self, shop: Shop, db: Database, buyer: Buyer, **rates: tuple[float, int]) -> None:
        self.buyer, self.token = buyer, _token(buyer)
        self.sessions = Sessions(db, shop.world.clock, Believed())
        self.pages = OwnPages(db, self.sessions, Limiter(Peers(()), rates), shop.world.clock)

    async def given(self, path: str, query: str = "", *more: tuple[bytes, bytes], token: str | None = None) -> Any:
        """The bytes before routing; `None`: the long way."""
        token = self.token if token is None else token
        headers = [(b"authorization", f"Bearer {token}".encode()), *more]
        scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": headers}
        answer = await self.pages.find(scope)
        return None if answer is None else answer.body

    async def refused(self, path: str, *more: tuple[bytes, bytes], query: str = "", token: str | None = None) -> int:
        """The status of the refusal."""
        with pytest.raises(Problem) as refusal:
            await self.given(path, query, *more, token=token)
        return refusal.value.status


@pytest.fixture
async def desk(shop: Shop, db: Database) -> Desk:
    return Desk(shop, db, await shop.buyer("reader"))


async def test_lists_and_orders_are_the_routes_own(shop: Shop, desk: Desk) -> None:
    (sku,) = await shop.stocked(50)
    paid = await shop.paid_order(desk.buyer, {sku: 2})
    numbers = [paid, *[await desk.buyer.order({sku: 1}) for _ in range(3)]]
    asked = ["", "limit=2", "status=unpaid", "status=to_ship&limit=1", "limit=100&status=cancelled", "limit=1&limit=2"]
    for query in asked:
        routed = await shop.http.get(f"/api/v1/orders?{query}", headers=desk.buyer.headers)
        assert _without_the_time(await desk.given("/api/v1/orders", query)) == _without_the_time(routed.content), query
    cursor = (await desk.buyer.get("/orders", limit=2)).json()["nextCursor"]
    second = await desk.buyer.get("/orders", limit=2, cursor=cursor)
    given = await desk.given("/api/v1/orders", f"limit=2&cursor={cursor}")
    assert _without_the_time(given) == _without_the_time(second.content)
    for no in numbers:
        routed = await desk.buyer.get(f"/orders/{no}")
        assert _without_the_time(await desk.given(f"/api/v1/orders/{no}")) == _without_the_time(routed.content)
    english = await desk.given(f"/api/v1/orders/{paid}", "", (b"accept-language", b"en-GB,en;q=0.9"))
    assert b"To be shipped" in english


async def test_in_every_state_a_list_shows_an_order_as_its_page_does(shop: Shop, desk: Desk) -> None:
    """The database writes both, and staff's page is written by other means: each says what the others say."""
    (sku,) = await shop.stocked(50)
    operator, buyer = await shop.operator(), desk.buyer
    numbers = [await shop.paid_order(buyer, {sku: 1}) for _ in range(4)] + [
        await buyer.order({sku: 1}) for _ in range(3)
    ]
    _, shipped, completed, refunded, _, cancelled, late = numbers
    for no in (shipped, completed):
        assert (await operator.post(f"/orders/{no}/ship", {"carrier": "SF", "trackingNo": "SF1234"})).is_success
    assert (await buyer.post(f"/orders/{completed}/confirm")).is_success
    line = (await buyer.get(f"/orders/{refunded}")).json()["lines"][0]
    assert (await operator.refund(refunded, {line["id"]: 1})).status_code == 201
    assert (await buyer.post(f"/orders/{cancelled}/cancel", {})).is_success
    await shop.sql.execute("UPDATE orders SET pay_by = now() - interval '1 hour' WHERE no = $1", late)
    for language in (b"zh-CN", b"en"):
        said = (b"accept-language", language)
        listed = json.loads(await desk.given("/api/v1/orders", "", said))["items"]
        assert [order["no"] for order in listed] == numbers[::-1]
        for order in listed:
            own = json.loads(await desk.given(f"/api/v1/orders/{order['no']}", "", said))
            headers = {**operator.headers, "accept-language": language.decode()}
            staffs = (await shop.http.get(f"/admin/v1/orders/{order['no']}", headers=headers)).json()
            for whole in (own, staffs):
                seen = {name: whole[name] for name in order}
                assert (seen.pop("payLeftMs") is None) is (order["payLeftMs"] is None), order
                assert seen == {name: value for name, value in order.items() if name != "payLeftMs"}
            assert {name: staffs[name] for name in own if name != "payLeftMs"} == {
                name: value for name, value in own.items() if name != "payLeftMs"
            }
    assert (listed[0]["payLeftMs"], listed[0]["actions"]) == (0, ["cancel"])


async def test_a_line_that_has_changed_is_shown_as_it_is(shop: Shop, desk: Desk) -> None:
    """Also in a list, which does not look at the lines of an order that is as it was placed."""
    (sku,) = await shop.stocked(50)
    operator, no = await shop.operator(), await shop.paid_order(desk.buyer, {sku: 2})
    query = "SELECT shown_lines IS NULL FROM orders WHERE no = $1"
    assert await shop.sql.fetchval(query, no) is False
    line = json.loads(await desk.given(f"/api/v1/orders/{no}"))["lines"][0]
    assert (await operator.refund(no, {line["id"]: 1})).status_code == 201
    assert await shop.sql.fetchval(query, no) is True
    changed = {**line, "refundedQuantity": 1, "refundedFen": line["paidFen"] // 2}
    for body in (await desk.given(f"/api/v1/orders/{no}"), await desk.given("/api/v1/orders")):
        found = json.loads(body)
        assert found.get("items", [found])[0]["lines"] == [changed]


def _without_the_time(body: bytes) -> bytes:
    """The milliseconds that are left to pay go by between two looks."""
    head, *rest = body.split(b'"payLeftMs":')
    return head + b"".join(part.lstrip(b"0123456789") for part in rest)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=+5", "limit=05", "status=gone", "status=", "cursor=", "page=2",
     "limit=5&page=2", "status=unpaid&x=", "limit=%32%30x"],
)  # fmt: skip
async def test_what_is_not_plainly_asked_goes_the_long_way(desk: Desk, query: str) -> None:
    assert await desk.given("/api/v1/orders", query) is None


@pytest.mark.parametrize("path", ["/api/v1/orders/counts", "/api/v1/orders/", "/api/v1/ordersX123456", "/api/v1/orders/a b",
                                  "/api/v1/orders/123456789/prepay"])  # fmt: skip
async def test_other_paths_too(desk: Desk, path: str) -> None:
    assert await desk.given(path) is None


@pytest.mark.parametrize("cursor", ["!", "WzEsMl0"])
async def test_a_cursor_of_something_else_is_refused(desk: Desk, cursor: str) -> None:
    assert await desk.refused("/api/v1/orders", query=f"cursor={cursor}") == 400


async def test_nobody_sees_anothers(shop: Shop, desk: Desk) -> None:
    (sku,) = await shop.stocked(5)
    other = await shop.buyer("somebody else")
    no = await other.order({sku: 1})
    assert await desk.refused(f"/api/v1/orders/{no}") == 404
    assert await desk.refused("/api/v1/orders/Nobody123") == 404
    assert b'"items":[]' in await desk.given("/api/v1/orders")


async def test_who_is_not_signed_in_or_says_it_twice_is_nobody(shop: Shop, desk: Desk) -> None:
    for token in ("", "x" * 43, desk.token + "x"):
        assert await desk.refused("/api/v1/orders", token=token) == 401
    twice = (b"authorization", f"Bearer {desk.token}".encode())
    assert await desk.refused("/api/v1/orders", twice) == 401
    assert await desk.given("/api/v1/orders") is not None
    assert (await shop.http.post("/api/v1/sign-out", headers=desk.buyer.headers)).status_code == 204
    desk.sessions.forget(desk.token)
    assert await desk.refused("/api/v1/orders") == 401


async def test_who_asks_too_often_is_refused(shop: Shop, db: Database) -> None:
    desk = Desk(shop, db, await shop.buyer("hasty"), member=(0.001, 2))
    for _ in range(2):
        assert await desk.given("/api/v1/orders") is not None
    assert await desk.refused("/api/v1/orders") == 429
