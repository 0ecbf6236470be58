"""The bill says other than our books: it is found out, and a person decides."""

import pytest
from cast import Shop
from mornings import figure, morning_after, open_cases, state_of, today


async def test_what_the_bill_lacks_waits_a_day_and_then_needs_a_person(shop_of_its_own: Shop) -> None:
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    buyer = await shop.buyer("茶客")
    await shop.paid_order(buyer, {sku: 1})
    lacking = await shop.sql.fetchval("SELECT transaction_id FROM payment")
    await shop.paid_order(buyer, {sku: 2})
    shop.world.tell(f"bills/{today(shop)}/spoil", kind="trade", how="missing_row")
    day = await morning_after(shop)
    assert await state_of(shop, day) == "differs"
    assert await figure(shop, day, "waiting") == 1
    assert await open_cases(shop) == []
    await shop.paid_order(buyer, {sku: 1})
    await morning_after(shop)
    assert await open_cases(shop) == [("bill_missing_payment", lacking)]
    facts = await shop.sql.fetchval("SELECT facts::text FROM payment_exception")
    assert '"answer": "known"' in facts  # WeChat itself says that it was paid
    assert '"state": "paid"' in facts  # and so does the order


@pytest.mark.parametrize(
    ("kind", "how", "expected"),
    [
        ("trade", "extra_row", [("bill_unknown_payment", "4200000000" + "9" * 18)]),
        ("trade", "other_amount", [("bill_amount_mismatch", "")]),
        ("fund_flow", "extra_row", [("fund_flow_gap", ""), ("fund_flow_unknown", "4200000000" + "9" * 18)]),
        ("fund_flow", "other_amount", [("fund_flow_mismatch", "")]),
    ],
)
async def test_a_bill_that_lies_is_found_out_and_stays_a_case_until_a_person_decides(
    shop_of_its_own: Shop, kind: str, how: str, expected: list[tuple[str, str]]
) -> None:
    """Hash and totals fit the lie; only our own books tell."""
    shop = shop_of_its_own
    (sku,) = await shop.stocked(50)
    buyer = await shop.buyer("茶客")
    await shop.paid_order(buyer, {sku: 1})
    await shop.paid_order(buyer, {sku: 1})
    shop.world.tell(f"bills/{today(shop)}/spoil", kind=kind, how=how)
    day = await morning_after(shop)
    assert await state_of(shop, day) == "differs"
    found = await open_cases(shop)
    known = {reference for _, reference in expected}
    assert [(name, reference if reference in known else "") for name, reference in found] == expected
    await shop.sql.execute(
        "UPDATE payment_exception SET resolved_at = now(), resolved_by = 'staff:1', resolution = 'x'"
    )
    shop.world.skip(days=1, hours=1)
    await shop.worker.reconcile()
    assert await state_of(shop, day) == "agreed"
