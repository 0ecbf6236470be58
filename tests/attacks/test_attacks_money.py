"""Attempts to pay nothing, to pay for what is over, to get back more than was paid, and to use one key for two wishes."""

import json
from typing import Any

import pytest
from cast import Shop

pytestmark = pytest.mark.trial("R32")


async def test_nothing_costs_nothing(shop: Shop) -> None:
    """No goods without a price, so no order of zero, and nothing of zero is ever asked of WeChat."""
    operator, buyer = await shop.operator(), await shop.buyer("alice")
    category = (await operator.post("/categories", {"name": "茶"})).json()["id"]
    for price in (0, -1):
        goods = {
            "title": "x",
            "categoryId": category,
            "images": ["/media/a.svg"],
            "skus": [{"code": "F", "priceFen": price}],
        }
        assert (await operator.post("/products", goods)).status_code == 400
    (sku,) = await shop.stocked(5, price_fen=1000)
    no = await buyer.order({sku: 1})
    total = (await buyer.get(f"/orders/{no}")).json()["totalFen"]
    for wish in ({"totalFen": 0}, {"discountFen": total}, {"discountFen": total, "freightFen": 0}, {"totalFen": -1}):
        answer = await operator.post(f"/orders/{no}/reprice", {**wish, "reason": "x"})
        assert answer.status_code in {400, 422}, (wish, answer.text)
    assert (await buyer.get(f"/orders/{no}")).json()["totalFen"] == total
    answer = await buyer.place({sku: 1}, expected=0)
    assert (answer.status_code, answer.json()["code"]) == (409, "price_changed")


async def test_what_is_over_is_not_paid(shop: Shop) -> None:
    """Cancelled, run out of time, or another's: there is no sheet to pay it on."""
    alice, mallory = await shop.buyer("alice"), await shop.buyer("mallory")
    (sku,) = await shop.stocked(9)
    cancelled, late = await alice.order({sku: 1}), await alice.order({sku: 1})
    assert (await alice.post(f"/orders/{cancelled}/cancel", {})).status_code == 200
    assert (await mallory.post(f"/orders/{late}/prepay")).status_code == 404
    shop.world.skip(minutes=31)
    for no in (cancelled, late):
        answer = await alice.post(f"/orders/{no}/prepay")
        assert answer.status_code == 409, answer.text
    assert await shop.sql.fetchval("SELECT count(*) FROM payment") == 0


async def test_no_client_says_that_it_has_paid(shop: Shop) -> None:
    """Asking to have WeChat asked is all there is, and WeChat says no."""
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    await buyer.prepay(no)
    for body in ({"tradeState": "SUCCESS"}, {"transactionId": "4200009999202603021111111111"}, {"paid": True}):
        await buyer.post(f"/orders/{no}/payment/refresh", body)
        assert await buyer.state(no) == "unpaid"


async def test_a_year_later_nothing_is_promised_that_wechat_will_not_do(shop: Shop) -> None:
    operator, buyer = await shop.operator(), await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await shop.paid_order(buyer, {sku: 1})
    line = (await buyer.get(f"/orders/{no}")).json()["lines"][0]["id"]
    await shop.sql.execute("UPDATE payment SET received_at = received_at - interval '366 days'")
    answer = await operator.refund(no, {line: 1})
    assert (answer.status_code, answer.json()["code"]) == (409, "refund_too_late")
    assert await shop.sql.fetchval("SELECT count(*) FROM refund") == 0
    assert (await shop.stock(sku))[2] == 1


async def test_no_refund_names_its_own_currency_or_price(shop: Shop) -> None:
    operator, buyer = await shop.operator(), await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await shop.paid_order(buyer, {sku: 1})
    total = (await buyer.get(f"/orders/{no}")).json()["totalFen"]
    for wish, statuses in (
        ({"amountFen": total + 1}, {422}),
        ({"amountFen": 2**53}, {400}),
        ({"amountFen": 0}, {400}),
        ({"amountFen": -1}, {400}),
        ({"amountFen": 1, "currency": "USD"}, {400}),
        ({"amountFen": 1, "transactionId": "42000"}, {400}),
    ):
        answer = await operator.post(f"/orders/{no}/refunds", {"reason": "x", **wish})
        assert answer.status_code in statuses, (wish, answer.text)
    assert await shop.sql.fetchval("SELECT count(*) FROM refund") == 0


async def test_goods_that_go_while_they_are_being_ordered(shop: Shop) -> None:
    """Switched off or taken off sale between preview and order."""
    buyer = await shop.buyer("alice")
    a, b = await shop.stocked(5, 5)
    preview = {
        "lines": [{"skuId": str(a), "quantity": 1}, {"skuId": str(b), "quantity": 1}],
        "addressId": buyer.address_id,
    }
    pay_fen = (await buyer.post("/checkout/preview", preview)).json()["payFen"]
    await shop.sql.execute("UPDATE sku SET enabled = false WHERE id = $1", b)
    answer = await buyer.place({a: 1, b: 1}, expected=pay_fen)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_on_sale")
    assert await shop.stock(a) == (5, 0, 0)


async def test_the_same_wish_written_otherwise_is_the_same(shop: Shop) -> None:
    """White space and the order of members do not count; what is in them does."""
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(9)
    line: dict[str, Any] = {"skuId": str(sku), "quantity": 1}
    wish = {"lines": [line], "addressId": buyer.address_id}
    pay_fen = (await buyer.post("/checkout/preview", wish)).json()["payFen"]
    whole = {**wish, "expectedPayFen": pay_fen}
    headers = {**buyer.headers, "idempotency-key": "one-and-the-same", "content-type": "application/json"}
    spellings = (
        json.dumps(whole),
        json.dumps(whole, indent=3),
        json.dumps(dict(reversed(whole.items()))),
        json.dumps({**whole, "lines": [dict(reversed(line.items()))]}, separators=(",", ":")),
    )
    answers = [await shop.http.post("/api/v1/orders", content=text, headers=headers) for text in spellings]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    other = await shop.http.post("/api/v1/orders", content=json.dumps({**whole, "note": "x"}), headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


async def test_keys_that_are_none(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    wish = {"lines": [{"skuId": "1", "quantity": 1}], "expectedPayFen": 1}
    for key in (
        "",
        "x" * 7,
        "x" * 256,
        "with space in it",
        "tab\tin-the-key",
        "ünïcödé-key",
        "汉字汉字汉字汉字",
        "null\x01byte",
    ):
        headers = {**buyer.headers, "idempotency-key": key.encode()}
        answer = await shop.http.post("/api/v1/orders", json=wish, headers=headers)
        assert answer.status_code == 400, key
    assert await shop.sql.fetchval("SELECT count(*) FROM idempotency_key") == 0


async def test_stock_is_not_held_for_ever(shop: Shop) -> None:
    """Who takes the last pieces and does not pay gives them back, at the latest half an hour later."""
    buyers = [await shop.buyer(f"hoarder{n}") for n in range(3)]
    (sku,) = await shop.stocked(3)
    for buyer in buyers:
        await buyer.order({sku: 1})
    assert await shop.stock(sku) == (0, 3, 0)
    shop.world.skip(minutes=32)
    await shop.worker.close_orders()
    assert await shop.stock(sku) == (3, 0, 0)
