"""The database refuses first: what must not be cannot be written, not even by its owner in plain SQL."""

import json
from typing import Any

import asyncpg
import pytest
from cast import Shop

from shop import schema

NEW = 999_999_999
REPORT = {"活动名称": "新会员有礼", "奖励说明": "注册奖励"}


def like(table: str, where: str = "true", **changed: Any) -> str:
    """A row like one that is there, save for what is said."""
    row = f"(jsonb_populate_record(x, $${json.dumps(changed)}$$)).*"
    return f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT {row} FROM {table} x WHERE {where}"


# constraint → what it refuses; of the checks of one table the first by name speaks
REFUSED = {
    "ck_stock_available": "UPDATE stock SET available = -1",
    "ck_stock_reserved": "UPDATE stock SET reserved = -1",
    "ck_stock_sold": "UPDATE stock SET sold = -1",
    "pk_stock": like("stock"),
    "ck_orders_total": "UPDATE orders SET total_fen = total_fen + 1",
    "ck_orders_paid": "UPDATE orders SET paid_at = NULL WHERE state = 'paid'",
    "ck_orders_refunded": "UPDATE orders SET refunded_fen = total_fen + 1",
    "uq_orders_no": like("orders", id=NEW),
    "ck_order_line_refunded_fen": "UPDATE order_line SET refunded_fen = paid_fen + 1",
    "ck_order_line_refunded_quantity": "UPDATE order_line SET refunded_quantity = quantity + 1",
    "uq_order_line_order_id_sku_id": like("order_line", id=NEW),
    "uq_payment_live": like("payment", "state = 'open'", id=NEW, out_trade_no="Pother"),
    "uq_payment_applied": like("payment", "applied", id=NEW, out_trade_no="Pother", transaction_id="other"),
    "uq_payment_transaction_id": like("payment", "applied", id=NEW, out_trade_no="Pother", applied=False),
    "uq_payment_out_trade_no": like("payment", "state = 'open'", id=NEW, payable="other"),
    "ck_payment_applied": "UPDATE payment SET applied = true WHERE state = 'open'",
    "ck_payment_received": "UPDATE payment SET transaction_id = NULL WHERE applied",
    "ck_payment_refunded": "UPDATE payment SET refunded_fen = received_fen + 1 WHERE applied",
    "uq_refund_cause": like("refund", id=NEW, out_refund_no="Rother"),
    "uq_refund_out_refund_no": like("refund", id=NEW, cause="other"),
    "ck_refund_second_person": "UPDATE refund SET decided_by = requested_by",
    "ck_posting_amount": like("posting", id=NEW, cause="other", amount_fen=0),
    "uq_posting_cause": like("posting", id=NEW),
    "pk_notice": like("notice"),
    "pk_idempotency_key": like("idempotency_key"),
    "uq_identity_appid_openid": like("identity", id=NEW),
    "payment_oversharing": "UPDATE payment SET profit_sharing = true, shared_fen = received_fen WHERE refunded_fen > 0",
    "ck_payment_shared": "UPDATE payment SET shared_fen = 1 WHERE applied",
    "ck_share_part_returned": """INSERT INTO share_part (share_id, n, receiver_id, amount_fen, description, state, returned_fen)
        VALUES (1, 1, 1, 100, '', 'success', 101)""",
    "ck_transfer_second_person": "UPDATE transfer SET approved_by = requested_by",
    "ck_transfer_day_cap": "UPDATE transfer_day SET promised_fen = cap_fen + 1",
    "uq_transfer_cause": like("transfer", id=NEW, out_bill_no="Bother"),
    "refuse_claims_above_what_was_paid": "UPDATE after_sale_line SET amount_fen = 99999999",
    "refuse_refunds_above_what_was_received": "UPDATE refund SET amount_fen = 99999999",
}
INSERTED_TOO_MUCH = {
    "refuse_claims_above_what_was_paid": f"WITH another AS ({like('after_sale', id=NEW, no='Aother')}) "
    + like("after_sale_line", after_sale_id=NEW, amount_fen=99999999),
    "refuse_refunds_above_what_was_received": like(
        "refund", id=NEW, out_refund_no="Rother", cause="other", amount_fen=99999999
    ),
}
"""The same two guards, when the row is a new one."""


async def _refusal(sql: Any, statement: str) -> str:
    """What refuses it: a constraint's name, or the function of a trigger."""
    transaction = sql.transaction()
    await transaction.start()
    try:
        await sql.execute("SET CONSTRAINTS ALL IMMEDIATE")
        done = await sql.execute(statement)
    except asyncpg.IntegrityConstraintViolationError as error:
        return error.constraint_name or (error.context or "").partition("(")[0].rpartition(" ")[2]
    else:
        return f"nothing ({done})"
    finally:
        await transaction.rollback()


async def test_the_database_refuses(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(9)
    paid = await shop.paid_order(buyer, {sku: 2})
    await buyer.prepay(await buyer.order({sku: 1}))
    (line,) = (await buyer.get(f"/orders/{paid}")).json()["lines"]
    operator = await shop.operator()
    refunded = await operator.refund(paid, {line["id"]: 1})
    assert refunded.status_code == 201, refunded.text
    wish = {"cause": "welcome:1", "amountFen": 500, "remark": "注册奖励", "sceneId": "1000", "report": REPORT}
    promised = await operator.post(f"/members/{(await buyer.get('/me')).json()['id']}/transfers", wish)
    assert promised.status_code == 201, promised.text
    for refused in (REFUSED, INSERTED_TOO_MUCH):
        told = {name: await _refusal(shop.sql, statement) for name, statement in refused.items()}
        assert {name: by for name, by in told.items() if not by.endswith(name)} == {}


@pytest.mark.parametrize("table", schema.append_only())
async def test_what_only_grows_is_changed_by_nobody(sql: Any, table: str) -> None:
    """The application's role lacks the right; the trigger refuses whoever has it, be it the owner."""
    rights = "SELECT has_table_privilege('shop_app', $1, 'UPDATE') OR has_table_privilege('shop_app', $1, 'DELETE')"
    assert await sql.fetchval(rights, table) is False
    guarded = """
        SELECT count(*) FROM pg_trigger WHERE tgrelid = $1::text::regclass AND NOT tgisinternal AND tgenabled = 'O'
            AND tgfoid = 'refuse_change'::regproc AND tgtype & 1 = 1 AND tgtype & 2 = 2 AND tgtype & 8 = 8 AND tgtype & 16 = 16
    """  # each row, before, delete, update
    assert await sql.fetchval(guarded, table) == 1
