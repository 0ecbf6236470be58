"""Orders that are placed together: each gets what it would have got alone."""

import asyncio
import secrets
from typing import Any

import httpx
from cast import Buyer, Shop
from unheard import Unheard

from shop.app import create_app
from shop.settings import Settings


async def _buyers(shop: Shop, count: int) -> list[Buyer]:
    return [await shop.buyer(f"together{number}") for number in range(count)]


async def _price(buyer: Buyer, *skus: int) -> int:
    wish = {"lines": [{"skuId": str(sku), "quantity": 1} for sku in skus]}
    return int((await buyer.post("/checkout/preview", wish)).json()["payFen"])


def _codes(answers: list[httpx.Response]) -> list[int]:
    return [answer.status_code for answer in answers]


async def test_those_who_come_first_get_what_is_short_and_nobody_else_bears_it(shop: Shop) -> None:
    """Three pieces of one SKU for five who want it with another; two who want only the other are not held up."""
    scarce, plenty = await shop.stocked(3, 50)
    buyers = await _buyers(shop, 7)
    both, one = await _price(buyers[0], scarce, plenty), await _price(buyers[0], plenty)
    placed = [buyer.place({scarce: 1, plenty: 1}, expected=both) for buyer in buyers[:5]]
    placed += [buyer.place({plenty: 1}, expected=one) for buyer in buyers[5:]]
    answers = await asyncio.gather(*placed)
    assert sorted(_codes(answers[:5])) == [201, 201, 201, 409, 409]
    assert _codes(answers[5:]) == [201, 201]
    for answer in answers[:5]:
        if answer.status_code == 409:
            assert answer.json()["items"] == [{"skuId": str(scarce), "wanted": 1, "available": 0}]
    assert await shop.stock(scarce) == (0, 3, 0)
    assert await shop.stock(plenty) == (45, 5, 0)


async def test_of_several_that_are_short_each_is_named(shop: Shop) -> None:
    a, b, c = await shop.stocked(1, 0, 9)
    (buyer,) = await _buyers(shop, 1)
    answer = await buyer.place({a: 2, b: 1, c: 1}, expected=1)
    assert answer.json()["items"] == [
        {"skuId": str(a), "wanted": 2, "available": 1},
        {"skuId": str(b), "wanted": 1, "available": 0},
    ]
    assert await shop.stock(c) == (9, 0, 0)


async def test_one_whose_key_is_just_being_used_elsewhere_does_not_fail_the_others(shop: Shop, settings: Any) -> None:
    """Another process has claimed the key and not committed: the batch waits for it, fails, and is tried one by one."""
    (sku,) = await shop.stocked(20)
    buyers = await _buyers(shop, 4)
    price = await _price(buyers[0], sku)
    member = await shop.sql.fetchval("SELECT max(id) FROM member")
    key = secrets.token_hex(8)
    elsewhere = shop.sql.transaction()
    await elsewhere.start()
    await shop.sql.execute(
        "INSERT INTO idempotency_key (actor, operation, key, content, answer, started_at)"
        " VALUES ($1, 'placeOrder', $2, 'other', '{}', now())",
        f"member:{member}",
        key,
    )
    placing = [asyncio.create_task(buyer.place({sku: 1}, expected=price)) for buyer in buyers[:3]]
    placing.append(asyncio.create_task(buyers[3].place({sku: 1}, expected=price, key=key)))
    await asyncio.sleep(0.3)
    await elsewhere.commit()
    answers = await asyncio.gather(*placing)
    assert _codes(answers) == [201, 201, 201, 422]
    assert answers[3].json()["code"] == "key_reused"
    assert await shop.stock(sku) == (17, 3, 0)


async def test_nobody_is_told_of_a_shortage_that_does_not_last(shop: Shop) -> None:
    """The last piece is the first one's, whose key another process is using: then it is the second one's, who is told so."""
    (sku,) = await shop.stocked(1)
    first, second = await _buyers(shop, 2)
    price = await _price(first, sku)
    member = await shop.sql.fetchval("SELECT min(member_id) FROM address")
    elsewhere = shop.sql.transaction()
    await elsewhere.start()
    await shop.sql.execute(
        "INSERT INTO idempotency_key (actor, operation, key, content, answer, started_at)"
        " VALUES ($1, 'placeOrder', 'used-elsewhere', 'other', '{}', now())",
        f"member:{member}",
    )
    placing = [
        asyncio.create_task(first.place({sku: 1}, expected=price, key="used-elsewhere")),
        asyncio.create_task(second.place({sku: 1}, expected=price)),
    ]
    await asyncio.sleep(0.3)
    await elsewhere.commit()
    answers = await asyncio.gather(*placing)
    assert _codes(answers) == [422, 201]
    assert await second.state(answers[1].json()["no"]) == "unpaid"
    assert await shop.stock(sku) == (0, 1, 0)


async def test_one_cart_is_ordered_once(shop: Shop) -> None:
    """Two taps with two keys: what is ordered is out of the cart when the second is looked at."""
    (sku,) = await shop.stocked(20)
    (buyer,) = await _buyers(shop, 1)
    await buyer.post("/cart/items", {"skuId": str(sku), "quantity": 2})
    expected = (await buyer.post("/checkout/preview", {"fromCart": True})).json()["payFen"]
    wish = {"fromCart": True, "expectedPayFen": expected}
    answers = await asyncio.gather(*(buyer.post("/orders", wish) for _ in range(3)))
    assert sorted(_codes(answers)) == [201, 422, 422]
    assert await shop.stock(sku) == (18, 2, 0)


async def test_one_cart_is_ordered_once_also_at_two_processes(shop: Shop, settings: Settings) -> None:
    """Both have read the cart, and wait for the stock: who gets it second finds the cart emptied."""
    (sku,) = await shop.stocked(20)
    (buyer,) = await _buyers(shop, 1)
    await buyer.post("/cart/items", {"skuId": str(sku), "quantity": 2})
    expected = (await buyer.post("/checkout/preview", {"fromCart": True})).json()["payFen"]
    wish = {"fromCart": True, "expectedPayFen": expected}
    app = create_app(settings, clock=shop.world.clock, news=Unheard())
    transport = httpx.ASGITransport(app)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://other") as other:
        headers = {**buyer.headers, "idempotency-key": "the-second-tap"}
        async with shop.sql.transaction():
            await shop.sql.execute("SELECT FROM stock WHERE sku_id = $1 FOR UPDATE", sku)
            taps = [
                asyncio.create_task(buyer.post("/orders", wish)),
                asyncio.create_task(other.post("/api/v1/orders", json=wish, headers=headers)),
            ]
            async with asyncio.timeout(5):
                while await shop.sql.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") < len(taps):
                    await asyncio.sleep(0.01)
        answers = await asyncio.gather(*taps)
    assert sorted(_codes(answers)) == [201, 422]
    assert await shop.sql.fetchval("SELECT count(*) FROM orders") == 1
    assert await shop.stock(sku) == (18, 2, 0)


async def test_fifty_at_once_are_what_fifty_in_turn_are(shop: Shop) -> None:
    """Every answer is what the order's own page says, and the key gives it again."""
    skus = await shop.stocked(*([100] * 5))
    buyers = await _buyers(shop, 12)
    price = await _price(buyers[0], *skus[:2])
    keys = [secrets.token_hex(8) for _ in buyers]
    wanted = [{skus[n % 5]: 1, skus[(n + 1) % 5]: 1} for n in range(len(buyers))]
    answers = await asyncio.gather(
        *(buyer.place(lines, expected=price, key=key) for buyer, lines, key in zip(buyers, wanted, keys, strict=True))
    )
    assert set(_codes(answers)) == {201}
    for buyer, lines, key, answer in zip(buyers, wanted, keys, answers, strict=True):
        body = answer.json()
        seen = (await buyer.get(f"/orders/{body['no']}")).json()
        assert {**seen, "payLeftMs": 0} == {**body, "payLeftMs": 0}
        assert [line["skuId"] for line in body["lines"]] == [str(sku) for sku in lines]
        assert (await buyer.place(lines, expected=price, key=key)).json() == body
    assert len({answer.json()["no"] for answer in answers}) == len(buyers)
