"""Refunds that wait for a second person, and what WeChat says of them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_REFUND_STATES = "'waiting', 'requested', 'processing', 'succeeded', 'abnormal', 'closed', 'refused', 'rejected'"
_CLAIMS = """
    CREATE FUNCTION refuse_claims_above_what_was_paid() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM FROM order_line l WHERE l.id = new.order_line_id AND (
            SELECT sum(c.amount_fen) > l.paid_fen OR sum(c.quantity) > l.quantity
            FROM after_sale_line c JOIN after_sale a ON a.id = c.after_sale_id
            WHERE c.order_line_id = l.id AND a.state <> 'failed');
        IF FOUND THEN
            RAISE EXCEPTION 'line %: more is claimed than was paid', new.order_line_id USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
"""
_REFUNDS = """
    CREATE FUNCTION refuse_refunds_above_what_was_received() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM FROM payment p WHERE p.id = new.payment_id AND coalesce(p.received_fen, 0) < (
            SELECT sum(r.amount_fen) FROM refund r
            WHERE r.payment_id = p.id AND r.state NOT IN ('closed', 'refused', 'rejected'));
        IF FOUND THEN
            RAISE EXCEPTION 'payment %: more is refunded than was received', new.payment_id
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
"""


def upgrade() -> None:
    for column in (
        sa.Column("origin", sa.Text(), server_default=sa.text("'system'"), nullable=False),
        sa.Column("promises", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("waiting_for", sa.Text(), nullable=True),
        sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("payer_refund_fen", sa.BigInteger(), nullable=True),
        sa.Column("discount_refund_fen", sa.BigInteger(), nullable=True),
        sa.Column("settlement_refund_fen", sa.BigInteger(), nullable=True),
        sa.Column("user_received_account", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("refund", column)
    op.execute("UPDATE refund SET origin = 'staff' WHERE requested_by <> 'system'")
    for name, rule in (
        ("state", f"state IN ({_REFUND_STATES})"),
        ("origin", "origin IN ('system', 'staff', 'portal')"),
        ("waits", "state NOT IN ('waiting', 'rejected') OR origin = 'staff'"),
        ("second_person", "decided_by <> requested_by"),
        ("waiting_for", "waiting_for IS NULL OR state = 'requested'"),
        ("succeeded", "(state = 'succeeded') = (succeeded_at IS NOT NULL)"),
    ):
        op.create_check_constraint(f"ck_refund_{name}", "refund", rule)
    op.drop_index("ix_refund_check_at", table_name="refund")
    looked_at = sa.text("state IN ('requested', 'processing', 'abnormal')")
    op.create_index("ix_refund_check_at", "refund", ["check_at"], unique=False, postgresql_where=looked_at)
    op.create_index("ix_refund_payable", "refund", ["payable"], unique=False)
    op.create_index("ix_refund_state_id", "refund", ["state", "id"], unique=False)

    op.add_column(
        "after_sale_line", sa.Column("restocked", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.execute(
        "UPDATE after_sale_line p SET restocked = p.quantity FROM after_sale a WHERE a.id = p.after_sale_id AND a.restock"
    )
    op.drop_constraint("ck_after_sale_line_amounts", "after_sale_line", type_="check")
    for name, rule in (
        ("amounts", "quantity >= 0 AND amount_fen >= 0 AND quantity + amount_fen > 0"),
        ("restocked", "restocked >= 0 AND restocked <= quantity"),
    ):
        op.create_check_constraint(f"ck_after_sale_line_{name}", "after_sale_line", rule)
    freight = "freight_refunded_fen >= 0 AND freight_refunded_fen <= freight_fen"
    op.create_check_constraint("ck_orders_freight_refunded", "orders", freight)
    _refuse_at_commit("after_sale_line", "claims_fit", _CLAIMS, "refuse_claims_above_what_was_paid")
    _refuse_at_commit("refund", "refunds_fit", _REFUNDS, "refuse_refunds_above_what_was_received")


def _refuse_at_commit(table: str, trigger: str, function: str, name: str) -> None:
    op.execute(function)
    op.execute(
        f"CREATE CONSTRAINT TRIGGER {trigger} AFTER INSERT OR UPDATE ON {table} DEFERRABLE INITIALLY DEFERRED"
        f" FOR EACH ROW EXECUTE FUNCTION {name}()"
    )
