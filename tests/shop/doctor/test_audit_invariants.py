"""Each of these invariants can break: the books are falsified in one place, and just that one says so."""

import pytest
from cast import Shop

FALSIFIED = {
    "an order's goods are its lines'": [
        "UPDATE orders SET goods_fen = goods_fen + 1, freight_fen = freight_fen - 1",
    ],
    "an order's log has only legal steps, each from where the last one ended": [
        "ALTER TABLE order_event DISABLE TRIGGER append_only",
        "UPDATE order_event SET from_state = 'shipped' WHERE to_state = 'paid'",
    ],
    "what is about money is about an order that is there": [
        "UPDATE payment SET payable = 'nobody' WHERE state = 'received'",
    ],
    "a refund is of its payment's order": ["UPDATE refund SET payable = payable || 'x'"],
    "an after-sale is of its own order's lines, and of their sum": [
        "UPDATE after_sale_line SET amount_fen = amount_fen + 1",
    ],
    "money received and not applied is on its way back, or a person decides": [
        "UPDATE payment SET applied = false",
        """INSERT INTO payment_exception (kind, reference, payment_id, facts, created_at)
        SELECT 'bill_missing_payment', transaction_id, id, '{}', now() FROM payment""",
    ],
    "a session is of its own member": [
        """WITH m AS (INSERT INTO member (created_at) VALUES (now()) RETURNING id)
        INSERT INTO member_session SELECT 'x', m.id, i.id, now(), now() FROM m, identity i LIMIT 1""",
    ],
}


@pytest.mark.parametrize("name", FALSIFIED)
async def test_a_falsified_book_is_seen(shop: Shop, name: str) -> None:
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    (sku,) = await shop.stocked(5)
    no = await shop.paid_order(buyer, {sku: 2})
    line = (await operator.get(f"/orders/{no}")).json()["lines"][0]["id"]
    assert (await operator.refund(no, {line: 1})).status_code == 201
    assert await shop.broken() == {}
    falsification = shop.sql.transaction()
    await falsification.start()
    for statement in FALSIFIED[name]:
        await shop.sql.execute(statement)
    broken = await shop.broken()
    await falsification.rollback()
    assert name in broken
