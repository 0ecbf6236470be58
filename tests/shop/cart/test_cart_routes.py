import asyncio
from typing import Any

import pytest
from cast import Buyer, Shop

from catalog import stock

pytestmark = pytest.mark.anyio


async def _ask(buyer: Buyer, method: str, path: str, body: Any = None) -> Any:
    return await buyer.shop.http.request(method, f"/api/v1{path}", headers=buyer.headers, json=body)


async def _put(buyer: Buyer, sku: int, quantity: int) -> Any:
    return await _ask(buyer, "POST", "/cart/items", {"skuId": str(sku), "quantity": quantity})


async def test_the_cart_is_whole_after_every_write(shop: Shop) -> None:
    alice = await shop.buyer("alice")
    tea, cup = await shop.stocked(10, 5, price_fen=1200)
    empty = (await _ask(alice, "GET", "/cart")).json()
    assert empty == {
        "items": [], "invalid": [], "kinds": 0, "selectedCount": 0, "selectedAll": False, "goodsFen": 0,
    }  # fmt: skip
    first = await _put(alice, tea, 2)
    assert first.status_code == 200
    (line,) = first.json()["items"]
    assert line == {
        "skuId": str(tea), "productId": line["productId"], "title": "明前龙井", "image": "/media/a.svg",
        "options": ["罐0"], "priceFen": 1200, "listPriceFen": None, "quantity": 2, "stock": 10, "selected": True,
        "shortage": 0,
    }  # fmt: skip
    both = (await _put(alice, cup, 1)).json()
    assert (both["kinds"], both["selectedCount"], both["selectedAll"], both["goodsFen"]) == (2, 3, True, 3600)
    more = (await _put(alice, tea, 3)).json()
    assert {item["skuId"]: item["quantity"] for item in more["items"]} == {str(tea): 5, str(cup): 1}
    fewer = (await _ask(alice, "PUT", f"/cart/items/{tea}", {"quantity": 1, "selected": False})).json()
    assert (fewer["selectedCount"], fewer["selectedAll"], fewer["goodsFen"]) == (1, False, 1200)
    assert (await _ask(alice, "PUT", f"/cart/items/{tea}", {})).json() == fewer
    none = (await _ask(alice, "PUT", "/cart/selection", {"selected": False})).json()
    assert (none["selectedCount"], none["goodsFen"]) == (0, 0)
    one = (await _ask(alice, "PUT", "/cart/selection", {"selected": True, "skuIds": [str(tea), "999"]})).json()
    assert [item["skuId"] for item in one["items"] if item["selected"]] == [str(tea)]
    assert (await _ask(alice, "GET", "/cart/count")).json() == {"kinds": 2, "count": 2}
    left = (await _ask(alice, "DELETE", f"/cart/items/{cup}")).json()
    assert [item["skuId"] for item in left["items"]] == [str(tea)]
    assert left == (await _ask(alice, "GET", "/cart")).json()


async def test_prices_are_todays_and_what_cannot_be_had_stands_apart(shop: Shop) -> None:
    alice = await shop.buyer("alice")
    tea, cup, pot = await shop.stocked(10, 5, 3)
    for sku in (tea, cup, pot):
        await _put(alice, sku, 3)
    await shop.sql.execute("UPDATE sku SET price_fen = 777 WHERE id = $1", tea)
    await shop.sql.execute("UPDATE sku SET enabled = false WHERE id = $1", cup)
    async with shop.db.begin() as session:
        for sku, left in ((tea, 1), (pot, 0)):
            at = shop.world.clock.now()
            await stock.set_available(session, sku, left, reason="counted", actor="test", at=at)
    cart = (await _ask(alice, "GET", "/cart")).json()
    assert [(item["priceFen"], item["stock"], item["shortage"]) for item in cart["items"]] == [(777, 1, 2)]
    assert {item["skuId"]: item["reason"] for item in cart["invalid"]} == {str(cup): "off_sale", str(pot): "sold_out"}
    assert (cart["goodsFen"], cart["selectedCount"], cart["selectedAll"]) == (3 * 777, 3, True)
    cleared = (await _ask(alice, "DELETE", "/cart/invalid")).json()
    assert (len(cleared["items"]), cleared["invalid"], cleared["kinds"]) == (1, [], 1)


async def test_what_cannot_be_bought_is_refused_by_name(shop: Shop) -> None:
    alice = await shop.buyer("alice")
    tea, cup = await shop.stocked(5, 1000)
    await _put(alice, tea, 3)
    short = await _put(alice, tea, 3)
    assert (short.status_code, short.json()["code"], short.json()["available"]) == (409, "not_enough_stock", 5)
    short = await _ask(alice, "PUT", f"/cart/items/{tea}", {"quantity": 6})
    assert (short.status_code, short.json()["code"]) == (409, "not_enough_stock")
    unknown = await _put(alice, 999_999, 1)
    assert (unknown.status_code, unknown.json()["code"], unknown.json()["skuId"]) == (422, "unknown_sku", "999999")
    await _put(alice, cup, 999)
    many = await _put(alice, cup, 1)
    assert (many.status_code, many.json()["code"], many.json()["limit"]) == (422, "too_many_pieces", 999)
    await shop.sql.execute("UPDATE product SET status = 'off_sale'")
    gone = await _put(alice, tea, 1)
    assert (gone.status_code, gone.json()["code"]) == (409, "not_on_sale")
    assert (await _ask(alice, "PUT", f"/cart/items/{tea}", {"quantity": 1})).status_code == 200
    rows = await shop.sql.fetch("SELECT sku_id, quantity FROM cart_line ORDER BY sku_id")
    assert [tuple(row) for row in rows] == [(tea, 1), (cup, 999)]


async def test_odd_quantities_and_ids_are_a_400(shop: Shop) -> None:
    alice = await shop.buyer("alice")
    (tea,) = await shop.stocked(5)
    await _put(alice, tea, 1)
    for quantity in (-1, 0, 1.5, 1.0, "5", 1000, 2**31, 2**63, 10**400, None, True, [1], {}):
        for method, path, body in (
            ("POST", "/cart/items", {"skuId": str(tea), "quantity": quantity}),
            ("PUT", f"/cart/items/{tea}", {"quantity": quantity}),
        ):
            answer = await _ask(alice, method, path, body)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input"), quantity
            assert answer.json()["errors"][0]["field"] in {"quantity", "body"}
    for body in (
        {"skuId": tea, "quantity": 1},
        {"skuId": "0", "quantity": 1},
        {"skuId": "9" * 17, "quantity": 1},
        {"skuId": "1\u0000", "quantity": 1},
        {"skuId": str(tea)},
        {"skuId": str(tea), "quantity": 1, "priceFen": 1},
        {"skuId": str(tea), "quantity": 1, "memberId": "2"},
    ):
        assert (await _ask(alice, "POST", "/cart/items", body)).status_code == 400
    for body in ({"selected": "yes"}, {}, {"selected": True, "skuIds": ["1"] * 121}, {"selected": True, "skuIds": [1]}):
        assert (await _ask(alice, "PUT", "/cart/selection", body)).status_code == 400
    assert (await _ask(alice, "DELETE", "/cart/items/abc")).status_code == 400
    assert await shop.sql.fetchval("SELECT sum(quantity) FROM cart_line") == 1


async def test_another_members_cart_is_out_of_reach(shop: Shop) -> None:
    alice, bob = await shop.buyer("alice"), await shop.buyer("bob")
    (tea,) = await shop.stocked(5)
    mine = (await _put(alice, tea, 2)).json()
    for method, body in (("PUT", {"quantity": 1}), ("DELETE", None)):
        answer = await _ask(bob, method, f"/cart/items/{tea}", body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_in_cart")
    await _ask(bob, "PUT", "/cart/selection", {"selected": False})
    await _ask(bob, "DELETE", "/cart/invalid")
    assert (await _ask(bob, "GET", "/cart")).json()["items"] == []
    assert (await _ask(alice, "GET", "/cart")).json() == mine
    for method, path in (("GET", "/cart"), ("GET", "/cart/count"), ("DELETE", "/cart/invalid")):
        assert (await shop.http.request(method, f"/api/v1{path}")).status_code == 401


async def test_adding_at_once_loses_nothing_and_exceeds_nothing(shop: Shop) -> None:
    alice = await shop.buyer("alice")
    (tea,) = await shop.stocked(5)
    answers = await asyncio.gather(*(_put(alice, tea, 1) for _ in range(9)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [409] * 4
    assert await shop.sql.fetchval("SELECT quantity FROM cart_line") == 5


async def test_a_cart_holds_120_kinds_even_at_once(shop: Shop) -> None:
    alice = await shop.buyer("alice")
    skus = await shop.stocked(*[5] * 124)
    await shop.sql.execute(
        "INSERT INTO cart_line SELECT m.id, k.id, 1, true, now() FROM member m, sku k WHERE k.id = ANY($1)", skus[:118]
    )
    answers = await asyncio.gather(*(_put(alice, sku, 1) for sku in skus[118:]))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 422, 422, 422, 422]
    refused = next(answer.json() for answer in answers if answer.status_code == 422)
    assert (refused["code"], refused["limit"]) == ("cart_full", 120)
    assert (await _put(alice, skus[0], 1)).status_code == 200
