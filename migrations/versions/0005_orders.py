"""Orders with their lines, log and parcels; after-sales."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("no", sa.Text(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("source", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("goods_fen", sa.BigInteger(), nullable=False),
        sa.Column("discount_fen", sa.BigInteger(), nullable=False),
        sa.Column("freight_fen", sa.BigInteger(), nullable=False),
        sa.Column("total_fen", sa.BigInteger(), nullable=False),
        sa.Column("refunded_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("freight_refunded_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("trace", postgresql.JSONB(), nullable=False),
        sa.Column("address", postgresql.JSONB(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("pay_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("close_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("close_reason", sa.Text(), nullable=True),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shipped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("receive_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('unpaid', 'closing', 'cancelled') = (paid_at IS NULL)", name="ck_orders_paid"),
        sa.CheckConstraint(
            "state IN ('unpaid', 'closing', 'cancelled', 'paid', 'shipped', 'completed', 'refunded')",
            name="ck_orders_state",
        ),
        sa.CheckConstraint(
            "discount_fen >= 0 AND discount_fen <= goods_fen AND freight_fen >= 0", name="ck_orders_parts"
        ),
        sa.CheckConstraint("refunded_fen >= 0 AND refunded_fen <= total_fen", name="ck_orders_refunded"),
        sa.CheckConstraint(
            "total_fen = goods_fen - discount_fen + freight_fen AND total_fen > 0", name="ck_orders_total"
        ),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name="fk_orders_member_id"),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
        sa.UniqueConstraint("no", name="uq_orders_no"),
    )
    op.create_index(
        "ix_orders_close_at",
        "orders",
        ["close_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('unpaid', 'closing')"),
    )
    op.create_index("ix_orders_member_id_id", "orders", ["member_id", "id"], unique=False)
    op.create_index(
        "ix_orders_receive_by", "orders", ["receive_by"], unique=False, postgresql_where=sa.text("state = 'shipped'")
    )
    op.create_index("ix_orders_state_id", "orders", ["state", "id"], unique=False)
    op.create_table(
        "after_sale",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("no", sa.Text(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("freight_fen", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("restock", sa.Boolean(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "amount_fen > 0 AND freight_fen >= 0 AND freight_fen <= amount_fen", name="ck_after_sale_amounts"
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_after_sale_order_id"),
        sa.PrimaryKeyConstraint("id", name="pk_after_sale"),
        sa.UniqueConstraint("no", name="uq_after_sale_no"),
    )
    op.create_index("ix_after_sale_order_id", "after_sale", ["order_id"], unique=False)
    op.create_table(
        "order_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_order_event_order_id"),
        sa.PrimaryKeyConstraint("id", name="pk_order_event"),
        info={"append_only": True},
    )
    op.create_index("ix_order_event_order_id_id", "order_event", ["order_id", "id"], unique=False)
    op.create_table(
        "parcel",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("tracking_no", sa.Text(), nullable=False),
        sa.Column("shipped_by", sa.Text(), nullable=False),
        sa.Column("shipped_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_parcel_order_id"),
        sa.PrimaryKeyConstraint("id", name="pk_parcel"),
    )
    op.create_index("ix_parcel_order_id", "parcel", ["order_id"], unique=False)
    op.create_table(
        "order_line",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("sku_id", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("options", postgresql.JSONB(), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("unit_fen", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("refunded_quantity", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("refunded_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("quantity > 0 AND unit_fen > 0 AND paid_fen >= 0", name="ck_order_line_amounts"),
        sa.CheckConstraint("refunded_fen >= 0 AND refunded_fen <= paid_fen", name="ck_order_line_refunded_fen"),
        sa.CheckConstraint(
            "refunded_quantity >= 0 AND refunded_quantity <= quantity", name="ck_order_line_refunded_quantity"
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_order_line_order_id"),
        sa.ForeignKeyConstraint(["sku_id"], ["sku.id"], name="fk_order_line_sku_id"),
        sa.PrimaryKeyConstraint("id", name="pk_order_line"),
    )
    op.create_index("ix_order_line_sku_id", "order_line", ["sku_id"], unique=False)
    op.create_index("uq_order_line_order_id_sku_id", "order_line", ["order_id", "sku_id"], unique=True)
    op.create_table(
        "after_sale_line",
        sa.Column("after_sale_id", sa.BigInteger(), nullable=False),
        sa.Column("order_line_id", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("quantity > 0 AND amount_fen >= 0", name="ck_after_sale_line_amounts"),
        sa.ForeignKeyConstraint(["after_sale_id"], ["after_sale.id"], name="fk_after_sale_line_after_sale_id"),
        sa.ForeignKeyConstraint(["order_line_id"], ["order_line.id"], name="fk_after_sale_line_order_line_id"),
        sa.PrimaryKeyConstraint("after_sale_id", "order_line_id", name="pk_after_sale_line"),
    )
    op.create_index("ix_after_sale_line_order_line_id", "after_sale_line", ["order_line_id"], unique=False)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON order_event FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
