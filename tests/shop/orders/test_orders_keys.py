"""A key is of one wish about one order: used for another order it is another wish, and that is done too."""

from typing import Any

import pytest
from cast import Buyer, Operator, Shop

KEY = "one-and-the-same"
SF = {"carrier": "SF", "trackingNo": "SF1234567890"}


async def _ask(shop: Shop, buyer: Buyer, boss: Operator, no: str, verb: str, body: Any) -> dict[str, Any]:
    """What the order is afterwards, for staff."""
    if verb == "charge-code":
        body = {"authCode": shop.world.code(buyer.name, "payment")}
    who: Buyer | Operator = buyer if verb in {"cancel", "prepay", "payments"} else boss
    answer = await who.post(f"/orders/{no}/{verb}", body, key=KEY)
    assert answer.is_success, answer.text
    sheets = await shop.sql.fetchval("SELECT count(*) FROM payment WHERE payable = $1", no)
    return {**(await boss.get(f"/orders/{no}")).json(), "sheets": sheets}


@pytest.mark.parametrize(
    ("verb", "body", "becomes"),
    [
        ("charge-code", None, {"state": "paid"}),
        ("prepay", None, {"sheets": 1}),
        ("payments", {"channel": "native"}, {"sheets": 1}),
        ("cancel", {}, {"state": "cancelled"}),
        ("close", {"reason": "缺货"}, {"state": "cancelled"}),
        ("reprice", {"discountFen": 7, "reason": "x"}, {"discountFen": 7}),
        ("ship", SF, {"state": "shipped"}),
        ("refunds", {"amountFen": 7, "reason": "x"}, {"refundedFen": 7}),
    ],
)
async def test_a_key_speaks_of_one_order(shop: Shop, verb: str, body: Any, becomes: dict[str, Any]) -> None:
    buyer, boss = await shop.buyer("alice"), await shop.operator()
    (sku,) = await shop.stocked(5)
    order = shop.paid_order if verb in {"ship", "refunds"} else Buyer.order
    for _ in range(2):
        no = await order(buyer, {sku: 1})
        seen = await _ask(shop, buyer, boss, no, verb, body)
        assert {name: seen[name] for name in becomes} == becomes
