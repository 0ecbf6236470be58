"""Goods on their way, and the operator's part."""

from cast import Buyer, Operator, Shop

SF = {"carrier": "SF", "trackingNo": "SF1234567890"}


async def _shipped(shop: Shop, operator: Operator) -> tuple[Buyer, str]:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await shop.paid_order(buyer, {a: 2})
    assert (await operator.post(f"/orders/{no}/ship", SF)).status_code == 200
    return buyer, no


async def test_shipped_once_and_confirmed(shop: Shop) -> None:
    operator = await shop.operator()
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await shop.paid_order(buyer, {a: 2})
    first = await operator.post(f"/orders/{no}/ship", SF, key="ship-it-once")
    again = await operator.post(f"/orders/{no}/ship", SF, key="ship-it-once")
    assert (first.status_code, again.text) == (200, first.text)
    assert (await operator.post(f"/orders/{no}/ship", SF)).status_code == 409
    seen = (await buyer.get(f"/orders/{no}")).json()
    assert (seen["state"], seen["actions"], seen["parcels"][0]["trackingNo"]) == (
        "shipped",
        ["confirm"],
        "SF1234567890",
    )
    assert (await buyer.post(f"/orders/{no}/confirm")).json()["state"] == "completed"
    assert (await buyer.post(f"/orders/{no}/confirm")).json()["state"] == "completed"


async def test_unpaid_is_neither_shipped_nor_confirmed(shop: Shop) -> None:
    operator = await shop.operator()
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await buyer.order({a: 1})
    assert (await operator.post(f"/orders/{no}/ship", SF)).json()["code"] == "order_move_refused"
    assert (await buyer.post(f"/orders/{no}/confirm")).status_code == 409


async def test_what_is_all_being_refunded_is_not_shipped(shop: Shop) -> None:
    """The money is promised, if not gone yet; one piece that is still owed is sent."""
    operator = await shop.operator()
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(9)
    for refunded, status, state in ((2, 409, "paid"), (1, 200, "shipped")):
        no = await shop.paid_order(buyer, {a: 2})
        line = (await buyer.get(f"/orders/{no}")).json()["lines"][0]["id"]
        assert (await operator.refund(no, {line: refunded})).status_code == 201
        answer = await operator.post(f"/orders/{no}/ship", SF)
        assert (answer.status_code, answer.json().get("code")) == (status, "nothing_to_ship" if status == 409 else None)
        seen = (await buyer.get(f"/orders/{no}")).json()
        assert (seen["state"], len(seen["parcels"])) == (state, int(state == "shipped"))


async def test_received_by_itself_after_ten_days(shop: Shop) -> None:
    buyer, no = await _shipped(shop, await shop.operator())
    shop.world.skip(days=9)
    await shop.worker.receive_orders()
    assert await buyer.state(no) == "shipped"
    shop.world.skip(days=1, seconds=1)
    await shop.worker.receive_orders()
    assert await buyer.state(no) == "completed"


async def test_the_shop_closes_an_unpaid_order(shop: Shop) -> None:
    operator = await shop.operator()
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await buyer.order({a: 1})
    await buyer.prepay(no)
    closed = await operator.post(f"/orders/{no}/close", {"reason": "缺货"})
    assert (closed.status_code, closed.json()["state"], closed.json()["closeReason"]) == (200, "cancelled", "缺货")
    assert [event["what"] for event in closed.json()["events"]] == ["placed", "closing", "cancelled"]
    audit = (await operator.get("/audit", subject=no)).json()["items"]
    assert [entry["action"] for entry in audit] == ["order.close"]
