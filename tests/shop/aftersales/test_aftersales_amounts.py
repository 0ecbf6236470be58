"""Plain amounts, on an order or on a line; and what the buyer sees of it."""

from typing import Any

import pytest
from cast import Buyer, Operator, Shop


async def _two_lines(shop: Shop) -> tuple[Buyer, str, list[dict[str, Any]], list[int]]:
    buyer = await shop.buyer("alice")
    skus = await shop.stocked(10, 10, price_fen=1000)
    no = await shop.paid_order(buyer, {skus[0]: 1, skus[1]: 2})
    return buyer, no, (await buyer.get(f"/orders/{no}")).json()["lines"], skus


async def _ask(operator: Operator, no: str, **wish: Any) -> Any:
    return await operator.post(f"/orders/{no}/refunds", {"reason": "补偿", **wish})


async def test_a_plain_amount_is_spread_over_lines_and_freight_and_takes_no_pieces(shop: Shop) -> None:
    operator = await shop.operator()
    buyer, no, lines, skus = await _two_lines(shop)
    order = (await buyer.get(f"/orders/{no}")).json()
    answer = await _ask(operator, no, amountFen=1000)
    sale = answer.json()
    assert (answer.status_code, sale["amountFen"]) == (201, 1000)
    parts = {line["lineId"]: line for line in sale["lines"]}
    shares = [parts[line["id"]]["amountFen"] for line in lines]
    assert sum(shares) + sale["freightFen"] == 1000
    assert abs(shares[1] - 2 * shares[0]) <= 1
    assert abs(sale["freightFen"] - 1000 * order["freightFen"] // order["totalFen"]) <= 1
    assert [part["quantity"] for part in sale["lines"]] == [0, 0]
    assert [await shop.stock(sku) for sku in skus] == [(9, 0, 1), (8, 0, 2)]
    rest = await _ask(operator, no, amountFen=order["totalFen"] - 1000)
    assert [part["quantity"] for part in rest.json()["lines"]] == [1, 2], "all the money takes the pieces too"
    assert [await shop.stock(sku) for sku in skus] == [(10, 0, 0), (10, 0, 0)]
    more = await _ask(operator, no, amountFen=1)
    assert (more.status_code, more.json()["code"], more.json()["leftFen"]) == (422, "order_too_much", 0)


async def test_money_of_a_line_and_pieces_of_it_share_what_was_paid(shop: Shop) -> None:
    operator = await shop.operator()
    buyer, no, lines, _ = await _two_lines(shop)
    line = lines[1]["id"]
    first = await _ask(operator, no, lines=[{"lineId": line, "amountFen": 301}])
    assert (first.json()["amountFen"], first.json()["lines"][0]["quantity"]) == (301, 0)
    piece = await _ask(operator, no, lines=[{"lineId": line, "quantity": 1}])
    assert piece.json()["amountFen"] == (2000 - 301) // 2
    over = await _ask(operator, no, lines=[{"lineId": line, "amountFen": 1999}])
    assert (over.status_code, over.json()["code"], over.json()["leftFen"]) == (422, "line_too_much", 850)
    rest = await _ask(operator, no, lines=[{"lineId": line, "amountFen": 850}])
    assert rest.json()["lines"] == [{"lineId": line, "quantity": 1, "amountFen": 850}]
    seen = (await buyer.get(f"/orders/{no}")).json()["lines"][1]
    assert (seen["refundedQuantity"], seen["refundedFen"]) == (2, 2000)


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"amountFen": 5, "freightFen": 1}, "amountFen"),
        ({"amountFen": 0}, "amountFen"),
        ({"amountFen": -1}, "amountFen"),
        ({"amountFen": 1.5}, "amountFen"),
        ({"lines": [{"lineId": "1"}]}, "lines[0]"),
        ({"lines": [{"lineId": "1", "quantity": 1, "amountFen": 1}]}, "lines[0]"),
        ({"amountFen": 5, "lines": [{"lineId": "1", "quantity": 1}]}, "amountFen"),
    ],
)
async def test_a_wish_that_says_too_much_or_nothing_names_its_field(shop: Shop, wish: Any, field: str) -> None:
    operator = await shop.operator()
    answer = await _ask(operator, "Dsomeorder0001", **wish)
    assert answer.status_code == 400
    assert field in answer.text


async def test_the_buyer_sees_how_far_the_money_is_and_nobody_elses(shop: Shop) -> None:
    operator = await shop.operator()
    buyer, no, _, _ = await _two_lines(shop)
    await _ask(operator, no, amountFen=700)
    (sale,) = (await buyer.get(f"/orders/{no}/after-sales")).json()
    assert (sale["state"], sale["refund"]["state"], sale["refund"]["userReceivedAccount"]) == (
        "refunding",
        "requested",
        None,
    )
    assert "requestedBy" not in sale
    await shop.run_jobs()
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    english = await shop.http.get(
        f"/api/v1/orders/{no}/after-sales", headers={**buyer.headers, "accept-language": "en"}
    )
    (sale,) = english.json()
    assert (sale["state"], sale["refund"]["stateText"]) == ("refunded", "Refunded")
    assert (sale["refund"]["userReceivedAccount"], sale["refund"]["payerRefundFen"]) == ("支付用户零钱", 700)
    stranger = await shop.buyer("eve")
    assert (await stranger.get(f"/orders/{no}/after-sales")).status_code == 404
