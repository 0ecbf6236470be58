"""Orders as staff find and read them."""

from typing import Any

import pytest
from cast import Operator, Shop


@pytest.fixture
async def operator(shop: Shop) -> Operator:
    return await shop.operator()


async def _found(operator: Operator, **query: Any) -> list[str]:
    answer = await operator.get("/orders", **query)
    assert answer.status_code == 200, answer.text
    return [order["no"] for order in answer.json()["items"]]


async def test_every_filter_narrows(shop: Shop, operator: Operator) -> None:
    alice, bob = await shop.buyer("alice"), await shop.buyer("bob")
    (a,) = await shop.stocked(9)
    old = await shop.paid_order(alice, {a: 1})
    shop.world.skip(hours=1)
    noon = shop.world.clock.now().isoformat()
    new = await alice.order({a: 1})
    his = await bob.order({a: 2})
    member = (await operator.get(f"/orders/{old}")).json()["memberId"]
    for query, expected in (
        ({}, [his, new, old]),
        ({"no": new}, [new]),
        ({"status": "unpaid"}, [his, new]),
        ({"memberId": member}, [new, old]),
        ({"phone": "13800000000"}, [his, new, old]),
        ({"phone": "13999999999"}, []),
        ({"placedFrom": noon}, [his, new]),
        ({"placedBefore": noon}, [old]),
        ({"placedFrom": noon, "memberId": member}, [new]),
        ({"status": "unpaid", "memberId": member, "placedBefore": noon}, []),
        ({"status": "paid", "memberId": member, "placedBefore": noon, "no": old}, [old]),
    ):
        assert await _found(operator, **query) == expected, query
    assert (await operator.get("/orders", status="lost")).status_code == 400
    assert (await operator.get("/orders", placedFrom="2026-11-29T12:00:00")).status_code == 400


async def test_page_by_page(shop: Shop, operator: Operator) -> None:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(9)
    placed = [await shop.paid_order(buyer, {a: 1}) for _ in range(3)]
    first = (await operator.get("/orders", status="paid", limit=2)).json()
    second = (await operator.get("/orders", status="paid", limit=2, cursor=first["nextCursor"])).json()
    assert [order["no"] for page in (first, second) for order in page["items"]] == placed[::-1]
    assert second["nextCursor"] is None


async def test_a_found_order_is_shown_as_its_buyer_sees_it(shop: Shop, operator: Operator) -> None:
    buyer = await shop.buyer("alice")
    a, b = await shop.stocked(5, 5)
    no = await shop.paid_order(buyer, {a: 2, b: 1})
    (found,) = (await operator.get("/orders", no=no)).json()["items"]
    (listed,) = (await buyer.get("/orders")).json()["items"]
    assert found == listed
    assert [line["quantity"] for line in found["lines"]] == [2, 1]


async def test_an_order_with_all_that_belongs_to_it(shop: Shop, operator: Operator) -> None:
    buyer = await shop.buyer("alice")
    a, b = await shop.stocked(5, 5)
    no = await shop.paid_order(buyer, {a: 2, b: 1})
    line = (await buyer.get(f"/orders/{no}")).json()["lines"][0]
    wish = {"lines": [{"lineId": line["id"], "quantity": 1}], "reason": "少发"}
    assert (await operator.post(f"/orders/{no}/refunds", wish)).status_code == 201
    assert (await operator.post(f"/orders/{no}/ship", {"carrier": "SF", "trackingNo": "SF12"})).status_code == 200
    seen, theirs = (await buyer.get(f"/orders/{no}")).json(), (await operator.get(f"/orders/{no}")).json()
    assert {name: theirs[name] for name in seen} == seen
    assert (theirs["lines"][0]["refundedQuantity"], len(theirs["refunds"]), len(theirs["parcels"])) == (1, 1, 1)
    assert [event["what"] for event in theirs["events"]][:2] == ["placed", "paid"]
    assert theirs["events"][-1].keys() == {"what", "fromState", "toState", "by", "at", "facts"}
    assert {"memberId", "channel", "source", "closeReason"} <= theirs.keys()


async def test_who_is_not_there_is_404(operator: Operator) -> None:
    assert (await operator.get("/orders/D0VcOx1990fw3YsHntAVbg5")).status_code == 404
