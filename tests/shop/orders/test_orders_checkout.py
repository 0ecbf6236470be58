"""From a wish to an order: whole or not at all."""

import asyncio
import secrets

import pytest
from cast import Shop


async def test_preview_and_place(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    a, b = await shop.stocked(5, 3, price_fen=1200)
    lines = [{"skuId": str(a), "quantity": 2}, {"skuId": str(b), "quantity": 1}]
    preview = (await buyer.post("/checkout/preview", {"lines": lines, "addressId": buyer.address_id})).json()
    assert (preview["payable"], preview["goodsFen"], preview["problems"]) == (True, 3600, [])
    assert preview["payFen"] == 3600 + preview["freightFen"]
    answer = await buyer.place({a: 2, b: 1}, expected=preview["payFen"])
    assert answer.status_code == 201
    order = answer.json()
    assert (order["state"], order["actions"], order["totalFen"]) == ("unpaid", ["pay", "cancel"], preview["payFen"])
    assert order["address"]["detail"] == "科技园一路1号"
    assert 29 * 60_000 < order["payLeftMs"] <= 30 * 60_000
    assert await shop.stock(a) == (3, 2, 0)


async def test_two_skus_one_short_reserves_nothing(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    a, b = await shop.stocked(5, 1)
    answer = await buyer.place({a: 2, b: 3}, expected=5000)
    assert answer.status_code == 409
    body = answer.json()
    assert body["code"] == "out_of_stock"
    assert body["items"] == [{"skuId": str(b), "wanted": 3, "available": 1}]
    assert await shop.stock(a) == (5, 0, 0)
    assert await shop.sql.fetchval("SELECT count(*) FROM orders") == 0


async def test_two_lines_of_one_sku_are_one(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    line = {"skuId": str(a), "quantity": 3}
    wish = {"lines": [line, line], "addressId": buyer.address_id, "expectedPayFen": 6000}
    answer = await buyer.post("/orders", wish)
    assert (answer.status_code, answer.json()["items"][0]["wanted"]) == (409, 6)


async def test_a_changed_price_is_a_409_with_the_new_preview(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5, price_fen=1000)
    seen = (await buyer.post("/checkout/preview", {"lines": [{"skuId": str(a), "quantity": 1}]})).json()["payFen"]
    await shop.sql.execute("UPDATE sku SET price_fen = 1500 WHERE id = $1", a)
    answer = await buyer.place({a: 1}, expected=seen)
    assert (answer.status_code, answer.json()["code"]) == (409, "price_changed")
    assert answer.json()["preview"]["payFen"] == seen + 500
    assert (await buyer.place({a: 1}, expected=seen + 500)).status_code == 201


async def test_the_same_key_ten_times_at_once_is_one_order(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(50)
    answers = await asyncio.gather(*(buyer.place({a: 1}, expected=None, key="one-and-the-same") for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    bodies = {answer.text for answer in answers if answer.status_code == 201}
    assert len(bodies) == 1
    again = await buyer.place({a: 1}, key="one-and-the-same")
    assert again.text in bodies
    assert await shop.sql.fetchval("SELECT count(*) FROM orders") == 1
    other = await buyer.place({a: 2}, key="one-and-the-same")
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


async def test_a_key_is_each_members_own(shop: Shop) -> None:
    alice, bob = await shop.buyer("alice"), await shop.buyer("bob")
    (a,) = await shop.stocked(5)
    placed = [await buyer.place({a: 1}, key="one-and-the-same") for buyer in (alice, bob)]
    assert [answer.status_code for answer in placed] == [201, 201]
    assert placed[0].json()["no"] != placed[1].json()["no"]


async def test_twenty_members_race_for_five_pieces(shop: Shop) -> None:
    (a,) = await shop.stocked(5)
    buyers = [await shop.buyer(f"racer{n}") for n in range(20)]
    pay_fen = (await buyers[0].post("/checkout/preview", {"lines": [{"skuId": str(a), "quantity": 1}]})).json()[
        "payFen"
    ]
    answers = await asyncio.gather(*(buyer.place({a: 1}, expected=pay_fen) for buyer in buyers))
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [201] * 5 + [409] * 15
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"out_of_stock"}
    assert await shop.stock(a) == (0, 5, 0)


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"lines": [{"skuId": "1", "quantity": 0}]}, 400, "lines[0].quantity"),
        ({"lines": [{"skuId": "1", "quantity": -3}]}, 400, "lines[0].quantity"),
        ({"lines": [{"skuId": "1", "quantity": 1.5}]}, 400, "lines[0].quantity"),
        ({"lines": [{"skuId": "1", "quantity": 10**12}]}, 400, "lines[0].quantity"),
        ({"lines": [{"skuId": "1", "quantity": 1, "price": 1}]}, 400, "lines[0].price"),
        ({"totalFen": 1}, 400, "totalFen"),
        ({"expectedPayFen": -1}, 400, "expectedPayFen"),
        ({"fromCart": True}, 400, "lines"),
    ],
)
async def test_bad_wishes_name_the_field(shop: Shop, change: dict, status: int, field: str) -> None:
    buyer = await shop.buyer("alice")
    wish = {"lines": [{"skuId": "1", "quantity": 1}], "expectedPayFen": 1, **change}
    answer = await buyer.post("/orders", wish)
    assert answer.status_code == status
    assert field in answer.json()["errors"][0]["field"] or field in answer.json()["errors"][0]["rule"]


async def test_wishes_against_a_rule_are_named_errors(shop: Shop) -> None:
    buyer, other = await shop.buyer("alice"), await shop.buyer("bob")
    (a,) = await shop.stocked(5)
    unknown = await buyer.place({987654321: 1}, expected=1)
    assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown_sku")
    empty = await buyer.post("/orders", {"lines": [], "expectedPayFen": 1})
    assert (empty.status_code, empty.json()["code"]) == (422, "empty_wish")
    stolen = {"lines": [{"skuId": str(a), "quantity": 1}], "addressId": other.address_id, "expectedPayFen": 1000}
    refused = await buyer.post("/orders", stolen)
    assert (refused.status_code, refused.json()["code"]) == (422, "address_needed")
    await shop.sql.execute("UPDATE product SET status = 'off_sale'")
    off = await buyer.place({a: 1}, expected=1000)
    assert (off.status_code, off.json()["code"]) == (409, "not_on_sale")
    assert await shop.stock(a) == (5, 0, 0)


async def test_a_key_is_needed_and_bounded(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    wish = {"lines": [{"skuId": "1", "quantity": 1}], "expectedPayFen": 1}
    for key in (None, "short", "x" * 256, "with space in"):
        headers = buyer.headers if key is None else {**buyer.headers, "idempotency-key": key}
        answer = await shop.http.post("/api/v1/orders", json=wish, headers=headers)
        assert answer.status_code == 400, key


async def test_nobody_holds_the_whole_stock_unpaid(shop: Shop) -> None:
    buyer = await shop.buyer("hoarder")
    (a,) = await shop.stocked(100)
    answers = [await buyer.place({a: 1}, expected=None) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [201] * 20 + [429]


async def test_the_cart_becomes_an_order_and_is_empty_again(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    a, b = await shop.stocked(5, 5)
    await buyer.post("/cart/items", {"skuId": str(a), "quantity": 2})
    await buyer.post("/cart/items", {"skuId": str(b), "quantity": 1})
    preview = (await buyer.post("/checkout/preview", {"fromCart": True})).json()
    assert preview["quantity"] == 3
    wish = {"fromCart": True, "expectedPayFen": preview["payFen"]}
    assert (await buyer.post("/orders", wish, key=secrets.token_hex(8))).status_code == 201
    assert (await buyer.get("/cart")).json()["items"] == []


async def test_somebody_elses_order_does_not_exist(shop: Shop) -> None:
    alice, mallory = await shop.buyer("alice"), await shop.buyer("mallory")
    (a,) = await shop.stocked(5)
    no = await alice.order({a: 1})
    missing = "D" + "0" * 22
    for method, path, body in (
        ("get", "/orders/{no}", None),
        ("post", "/orders/{no}/cancel", {}),
        ("post", "/orders/{no}/prepay", None),
        ("post", "/orders/{no}/confirm", None),
        ("post", "/orders/{no}/payment/refresh", None),
    ):
        answers = []
        for which in (no, missing):
            url = path.format(no=which)
            answers.append(await (mallory.get(url) if method == "get" else mallory.post(url, body)))
        assert [answer.status_code for answer in answers] == [404, 404], path
        assert answers[0].json() | {"requestId": ""} == answers[1].json() | {"requestId": ""}
    assert await alice.state(no) == "unpaid"
    assert (await mallory.get("/orders")).json()["items"] == []
