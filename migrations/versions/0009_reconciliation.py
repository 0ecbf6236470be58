"""Bills of WeChat Pay, and how they fit what we know."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"

_APPEND_ONLY = ("bill_file", "bill_chunk", "bill_trade", "bill_flow")
_CLAIMS = """
    CREATE VIEW payable_claim AS
    SELECT no AS payable, state, paid_at, CASE WHEN paid_at IS NULL THEN 0 ELSE total_fen END AS paid_fen, refunded_fen
    FROM orders
"""
"""The third side of reconciling: what the payables believe to have been paid. Payments knows no order, so it reads this;
a new kind of payable is one more `UNION ALL`."""
_ANALYZE = """
    CREATE FUNCTION analyze_bills() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
    BEGIN ANALYZE bill_trade, bill_flow; END $$
"""
"""A bill brings a whole day at once, of which the planner knows nothing until somebody looks; the application's role may
not look by itself."""


def upgrade() -> None:
    op.create_table(
        "bill_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("check_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("run", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("figures", JSONB(), nullable=False),
        sa.Column("matched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'agreed', 'differs')", name="ck_bill_day_state"),
        sa.PrimaryKeyConstraint("day", name="pk_bill_day"),
    )
    op.create_index(
        "ix_bill_day_check_at", "bill_day", ["check_at"], unique=False, postgresql_where=sa.text("check_at IS NOT NULL")
    )
    op.create_table(
        "bill_file",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sha1", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("broken", sa.Text(), nullable=True),
        sa.Column("summary", JSONB(), nullable=False),
        sa.Column("downloaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bill_file"),
        info={"append_only": True},
    )
    op.create_index(
        "uq_bill_file_broken",
        "bill_file",
        ["day", "kind", "sha1"],
        unique=True,
        postgresql_where=sa.text("broken IS NOT NULL"),
    )
    op.create_table(
        "bill_flow",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("business_id", sa.Text(), nullable=False),
        sa.Column("flow_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("balance_fen", sa.BigInteger(), nullable=False),
        sa.Column("voucher", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("day", "line", name="pk_bill_flow"),
        info={"append_only": True},
    )
    op.create_index("ix_bill_flow_day_business_id", "bill_flow", ["day", "business_id"], unique=False)
    op.create_table(
        "bill_trade",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mchid", sa.Text(), nullable=False),
        sa.Column("appid", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.Text(), nullable=False),
        sa.Column("out_trade_no", sa.Text(), nullable=False),
        sa.Column("trade_type", sa.Text(), nullable=False),
        sa.Column("trade_state", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("settlement_fen", sa.BigInteger(), nullable=False),
        sa.Column("coupon_fen", sa.BigInteger(), nullable=False),
        sa.Column("order_fen", sa.BigInteger(), nullable=False),
        sa.Column("refund_id", sa.Text(), nullable=True),
        sa.Column("out_refund_no", sa.Text(), nullable=True),
        sa.Column("refund_status", sa.Text(), nullable=False),
        sa.Column("refund_fen", sa.BigInteger(), nullable=False),
        sa.Column("refund_coupon_fen", sa.BigInteger(), nullable=False),
        sa.Column("requested_fen", sa.BigInteger(), nullable=False),
        sa.Column("fee_millifen", sa.BigInteger(), nullable=False),
        sa.Column("fee_fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "line", name="pk_bill_trade"),
        info={"append_only": True},
    )
    op.create_index(
        "ix_bill_trade_refund_id",
        "bill_trade",
        ["refund_id"],
        unique=False,
        postgresql_where=sa.text("refund_id IS NOT NULL"),
    )
    op.create_index("ix_bill_trade_transaction_id", "bill_trade", ["transaction_id"], unique=False)
    op.create_table(
        "bill",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("check_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("broken", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'verified') = (file_id IS NOT NULL)", name="ck_bill_file"),
        sa.CheckConstraint("kind IN ('trade', 'fund_flow')", name="ck_bill_kind"),
        sa.CheckConstraint("state IN ('wanted', 'verified', 'empty', 'failed')", name="ck_bill_state"),
        sa.ForeignKeyConstraint(["day"], ["bill_day.day"], name="fk_bill_day"),
        sa.ForeignKeyConstraint(["file_id"], ["bill_file.id"], name="fk_bill_file_id"),
        sa.PrimaryKeyConstraint("day", "kind", name="pk_bill"),
    )
    op.create_index(
        "ix_bill_check_at", "bill", ["check_at"], unique=False, postgresql_where=sa.text("state = 'wanted'")
    )
    op.create_table(
        "bill_chunk",
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["bill_file.id"], name="fk_bill_chunk_file_id"),
        sa.PrimaryKeyConstraint("file_id", "position", name="pk_bill_chunk"),
        info={"append_only": True},
    )
    op.create_table(
        "bill_difference",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("out_trade_no", sa.Text(), nullable=True),
        sa.Column("out_refund_no", sa.Text(), nullable=True),
        sa.Column("facts", JSONB(), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["day"], ["bill_day.day"], name="fk_bill_difference_day"),
        sa.PrimaryKeyConstraint("id", name="pk_bill_difference"),
    )
    op.create_index("ix_bill_difference_day_id", "bill_difference", ["day", "id"], unique=False)
    op.create_index(
        "ix_bill_difference_day_kind_reference", "bill_difference", ["day", "kind", "reference"], unique=True
    )
    op.create_index("ix_bill_difference_kind_reference", "bill_difference", ["kind", "reference"], unique=False)
    op.create_index(
        "ix_payment_received_at",
        "payment",
        ["received_at"],
        unique=False,
        postgresql_where=sa.text("received_at IS NOT NULL"),
    )
    op.create_index(
        "ix_refund_refund_id", "refund", ["refund_id"], unique=False, postgresql_where=sa.text("refund_id IS NOT NULL")
    )
    op.create_index(
        "ix_refund_succeeded_at",
        "refund",
        ["succeeded_at"],
        unique=False,
        postgresql_where=sa.text("succeeded_at IS NOT NULL"),
    )

    op.create_index("ix_posting_at", "posting", ["at"], unique=False, postgresql_using="brin")
    op.create_index("ix_orders_paid_at", "orders", ["paid_at"], unique=False, postgresql_using="brin")
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
    op.execute(_CLAIMS)
    op.execute(_ANALYZE)
