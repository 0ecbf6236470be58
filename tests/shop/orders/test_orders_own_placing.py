"""What is taken before routing: only what is plainly said; refusals are the route's own."""

import json
from typing import Any

import pytest
from cast import Buyer, Shop
from unheard import Unheard

from kit.database import Database
from kit.errors import Problem
from kit.web.limits import Limiter
from kit.web.peer import Peers
from shop.cart.own_cart import ITEMS, OwnCart
from shop.members.sessions import Sessions
from shop.orders.own_pages import PATH
from shop.orders.own_placing import OwnPlacing

JSON = (b"content-type", b"application/json; charset=utf-8")
KEY = (b"idempotency-key", b"a-key-of-one-wish")


class Counter:
    """The writes as one process takes them."""

    def __init__(self, shop: Shop, db: Database, buyer: Buyer, **rates: tuple[float, int]) -> None:
        token = buyer.headers["authorization"].encode()
        self.mine = (b"authorization", token)
        known = (db, Sessions(db, shop.world.clock, Unheard()), Limiter(Peers(()), rates), shop.world.clock)
        self._takes = {**OwnPlacing(*known).takes, **OwnCart(*known).takes}

    async def taken(self, path: str, body: bytes, *headers: tuple[bytes, bytes]) -> Any:
        """What is answered before routing; `None`: the long way, with the body unread."""
        read = 0

        async def incoming() -> Any:
            nonlocal read
            read += 1
            return {"type": "http.request", "body": body, "more_body": False}

        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": list(headers)}
        answer = await self._takes[path](scope, incoming)
        assert answer is not None or not read
        return answer

    async def refused(self, path: str, body: bytes, *headers: tuple[bytes, bytes]) -> int:
        """The status of the refusal."""
        with pytest.raises(Problem) as refusal:
            await self.taken(path, body, *headers)
        return refusal.value.status


@pytest.fixture
async def buyer(shop: Shop) -> Buyer:
    return await shop.buyer("taker")


@pytest.fixture
async def counter(shop: Shop, db: Database, buyer: Buyer) -> Counter:
    return Counter(shop, db, buyer)


def _piece(sku: int) -> bytes:
    return json.dumps({"skuId": str(sku), "quantity": 1}).encode()


async def test_placed_and_put_in_as_by_the_routes(shop: Shop, counter: Counter, buyer: Buyer) -> None:
    (sku,) = await shop.stocked(9)
    put = await counter.taken(ITEMS, _piece(sku), JSON, counter.mine)
    assert (put.status, put.operation, put.body) == (200, "addToCart", (await buyer.get("/cart")).content)
    wish = {"lines": [{"skuId": str(sku), "quantity": 2}], "addressId": buyer.address_id}
    price = (await buyer.post("/checkout/preview", wish)).json()["payFen"]
    body = json.dumps({**wish, "expectedPayFen": price}).encode()
    placed = await counter.taken(PATH, body, JSON, KEY, counter.mine)
    assert (placed.status, placed.operation) == (201, "placeOrder")
    again = await counter.taken(PATH, body, JSON, KEY, counter.mine)
    assert again.body == placed.body
    routed = await buyer.place({sku: 2}, expected=price, key=KEY[1].decode())
    assert (routed.status_code, routed.content) == (201, placed.body)
    assert len((await buyer.get("/orders")).json()["items"]) == 1


@pytest.mark.parametrize(
    "headers",
    [
        (JSON,),
        (JSON, (b"idempotency-key", b"short")),
        (JSON, (b"idempotency-key", b"with a space in it")),
        (JSON, (b"idempotency-key", b"k" * 65)),
        (JSON, KEY, KEY),
        (KEY,),
        ((b"content-type", b"text/plain"), KEY),
        (JSON, JSON, KEY),
    ],
)
async def test_what_is_not_plainly_said_goes_the_long_way(counter: Counter, headers: tuple[Any, ...]) -> None:
    assert await counter.taken(PATH, b"{}", *headers, counter.mine) is None


async def test_refused_as_by_the_routes(shop: Shop, db: Database, counter: Counter, buyer: Buyer) -> None:
    (sku,) = await shop.stocked(1)
    for path, more in ((ITEMS, ()), (PATH, (KEY,))):
        assert await counter.refused(path, _piece(sku), JSON, *more) == 401
        assert await counter.refused(path, b"{", JSON, *more, counter.mine) == 400
        assert await counter.refused(path, b'{"strange": 1}', JSON, *more, counter.mine) == 400
        assert await counter.refused(path, b" " * 70_000, JSON, *more, counter.mine) == 413
    two = json.dumps({"skuId": str(sku), "quantity": 2}).encode()
    assert await counter.refused(ITEMS, two, JSON, counter.mine) == 409
    limited = Counter(shop, db, buyer, member_writes=(0.001, 1))
    await limited.taken(ITEMS, _piece(sku), JSON, limited.mine)
    assert await limited.refused(ITEMS, _piece(sku), JSON, limited.mine) == 429


async def test_another_content_type_for_the_cart_goes_the_long_way(counter: Counter) -> None:
    assert await counter.taken(ITEMS, b"{}", (b"content-type", b"text/plain"), counter.mine) is None
