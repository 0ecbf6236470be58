"""An order goes out in one parcel. Pieces that were being refunded then, and are owed again, are a person's care."""

from typing import Any

import pytest
from cast import Buyer, Operator, Shop

_ABOVE = {
    "latePayment": "refund",
    "wrongAmount": "refund",
    "refundApprovalAboveFen": 0,
    "payoutApprovalAboveFen": None,
}


async def _second(first: Operator) -> Operator:
    """From now on every refund waits for this one."""
    shop = first.shop
    assert (await shop.http.put("/admin/v1/payment-policy", headers=first.headers, json=_ABOVE)).is_success
    who = {"login": "second", "password": "a long enough one"}
    assert (await first.post("/staff", {**who, "name": "second", "role": "manager"})).status_code == 201
    answer = await shop.http.post("/admin/v1/sign-in", json=who)
    return Operator(shop, answer.json()["accessToken"])


async def _bought(shop: Shop) -> tuple[Buyer, str, str, int]:
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(10)
    no = await shop.paid_order(buyer, {sku: 2})
    return buyer, no, (await buyer.get(f"/orders/{no}")).json()["lines"][0]["id"], sku


async def _ship(operator: Operator, no: str) -> None:
    assert (await operator.post(f"/orders/{no}/ship", {"carrier": "SF", "trackingNo": "SF123456"})).is_success


async def _owed(operator: Operator) -> list[dict[str, Any]]:
    return list((await operator.get("/payment-exceptions", openOnly=True, kind="goods_owed")).json()["items"])


@pytest.mark.parametrize("received", [False, True])
async def test_a_rejection_after_the_rest_was_shipped_is_a_case(shop: Shop, received: bool) -> None:
    first = await shop.operator()
    second = await _second(first)
    buyer, no, line, sku = await _bought(shop)
    asked = (await first.refund(no, {line: 1})).json()
    await _ship(first, no)
    if received:
        assert (await buyer.post(f"/orders/{no}/confirm")).is_success
    number = asked["refund"]["no"]
    assert (await second.post(f"/refunds/{number}/reject", {"reason": "x"})).status_code == 200
    (case,) = await _owed(first)
    assert (case["reference"], case["actions"]) == (asked["no"], ["resolve"])
    assert case["facts"] == {"order": no, "items": [{"sku_id": str(sku), "quantity": 1}]}
    assert (await first.get(f"/orders/{no}")).json()["events"][-1]["what"] == "goods_owed"


async def test_so_it_is_when_wechat_does_not_refund(shop: Shop) -> None:
    operator = await shop.operator()
    _, no, line, _ = await _bought(shop)
    await operator.refund(no, {line: 1})
    await _ship(operator, no)
    number = await shop.sql.fetchval("SELECT out_refund_no FROM refund")
    await shop.run_jobs()
    shop.world.tell(f"refunds/{number}/state", status="CLOSED")
    assert (await shop.notify()).status_code == 204
    assert len(await _owed(operator)) == 1


@pytest.mark.parametrize("wish", ["a piece", "money"])
@pytest.mark.parametrize("shipped", ["before", "after", "never"])
async def test_what_went_out_or_may_still_go_out_is_none(shop: Shop, shipped: str, wish: str) -> None:
    """Money alone never is: no piece was held back for it."""
    first = await shop.operator()
    second = await _second(first)
    _, no, line, _ = await _bought(shop)
    if shipped == "before":
        await _ship(first, no)
    body = {"quantity": 1} if wish == "a piece" else {"amountFen": 500}
    asked = await first.post(f"/orders/{no}/refunds", {"reason": "少发", "lines": [{"lineId": line, **body}]})
    if shipped == "after":
        await _ship(first, no)
    number = asked.json()["refund"]["no"]
    assert (await second.post(f"/refunds/{number}/reject", {"reason": "x"})).status_code == 200
    assert len(await _owed(first)) == (1 if (shipped, wish) == ("after", "a piece") else 0)
