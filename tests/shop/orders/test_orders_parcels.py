"""Goods on their way, and the operator's part."""

import secrets
from typing import Any

import httpx
from cast import Buyer, Shop

from shop.admin import staff


async def _operator(shop: Shop) -> dict[str, str]:
    async with shop.db.begin() as session:
        password = await staff.ensure_operator(session, shop.world.clock.now())
    answer = await shop.http.post("/admin/v1/sign-in", json={"login": "admin", "password": password})
    return {"authorization": f"Bearer {answer.json()['accessToken']}"}


async def _post(shop: Shop, who: dict[str, str], path: str, body: Any, key: str | None = None) -> httpx.Response:
    headers = {**who, "idempotency-key": key or secrets.token_hex(8)}
    return await shop.http.post(f"/admin/v1{path}", json=body, headers=headers)


SF = {"carrier": "SF", "trackingNo": "SF1234567890"}


async def _shipped(shop: Shop, operator: dict[str, str]) -> tuple[Buyer, str]:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await shop.paid_order(buyer, {a: 2})
    assert (await _post(shop, operator, f"/orders/{no}/ship", SF)).status_code == 200
    return buyer, no


async def test_shipped_once_and_confirmed(shop: Shop) -> None:
    operator = await _operator(shop)
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await shop.paid_order(buyer, {a: 2})
    first = await _post(shop, operator, f"/orders/{no}/ship", SF, key="ship-it-once")
    again = await _post(shop, operator, f"/orders/{no}/ship", SF, key="ship-it-once")
    assert (first.status_code, again.text) == (200, first.text)
    assert (await _post(shop, operator, f"/orders/{no}/ship", SF)).status_code == 409
    seen = (await buyer.get(f"/orders/{no}")).json()
    assert (seen["state"], seen["actions"], seen["parcels"][0]["trackingNo"]) == (
        "shipped",
        ["confirm"],
        "SF1234567890",
    )
    assert (await buyer.post(f"/orders/{no}/confirm")).json()["state"] == "completed"
    assert (await buyer.post(f"/orders/{no}/confirm")).json()["state"] == "completed"


async def test_unpaid_is_neither_shipped_nor_confirmed(shop: Shop) -> None:
    operator = await _operator(shop)
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await buyer.order({a: 1})
    assert (await _post(shop, operator, f"/orders/{no}/ship", SF)).json()["code"] == "order_move_refused"
    assert (await buyer.post(f"/orders/{no}/confirm")).status_code == 409


async def test_received_by_itself_after_ten_days(shop: Shop) -> None:
    buyer, no = await _shipped(shop, await _operator(shop))
    shop.world.skip(days=9)
    await shop.worker.receive_orders()
    assert await buyer.state(no) == "shipped"
    shop.world.skip(days=1, seconds=1)
    await shop.worker.receive_orders()
    assert await buyer.state(no) == "completed"


async def test_search_and_close(shop: Shop) -> None:
    operator = await _operator(shop)
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await buyer.order({a: 1})
    await buyer.prepay(no)
    other = await shop.paid_order(buyer, {a: 1})
    for query, expected in (
        ({"no": no}, [no]),
        ({"status": "paid"}, [other]),
        ({"phone": "13800000000"}, [other, no]),
        ({"phone": "13999999999"}, []),
        ({"limit": 1}, [other]),
    ):
        answer = await shop.http.get("/admin/v1/orders", headers=operator, params=query)
        assert [order["no"] for order in answer.json()["items"]] == expected, query
    assert (await shop.http.get("/admin/v1/orders", headers=operator, params={"status": "lost"})).status_code == 400
    closed = await _post(shop, operator, f"/orders/{no}/close", {"reason": "缺货"})
    assert (closed.status_code, closed.json()["state"], closed.json()["closeReason"]) == (200, "cancelled", "缺货")
    assert [event["what"] for event in closed.json()["events"]] == ["placed", "closing", "cancelled"]
    audit = (await shop.http.get("/admin/v1/audit", headers=operator, params={"subject": no})).json()["items"]
    assert [entry["action"] for entry in audit] == ["order.close"]
