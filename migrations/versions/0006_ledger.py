"""The ledger, and what the shop wants done with money that does not fit."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "posting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("debit", sa.Text(), nullable=False),
        sa.Column("credit", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("payable", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_fen > 0", name="ck_posting_amount"),
        sa.CheckConstraint("debit <> credit", name="ck_posting_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_posting"),
        info={"append_only": True},
    )
    op.create_index("uq_posting_cause", "posting", ["cause", "debit", "credit"], unique=True)
    op.create_index("ix_posting_payable", "posting", ["payable"], unique=False)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON posting FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.create_table(
        "payment_policy",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("late_payment", sa.Text(), nullable=False),
        sa.Column("wrong_amount", sa.Text(), nullable=False),
        sa.Column("refund_approval_above_fen", sa.BigInteger(), nullable=True),
        sa.Column("payout_approval_above_fen", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_payment_policy_one_row"),
        sa.CheckConstraint("late_payment IN ('refund', 'revive')", name="ck_payment_policy_late_payment"),
        sa.CheckConstraint("wrong_amount IN ('refund', 'decide')", name="ck_payment_policy_wrong_amount"),
        sa.CheckConstraint("refund_approval_above_fen >= 0", name="ck_payment_policy_refund_approval"),
        sa.CheckConstraint("payout_approval_above_fen >= 0", name="ck_payment_policy_payout_approval"),
        sa.PrimaryKeyConstraint("id", name="pk_payment_policy"),
    )
    _book_what_is_there()
    op.add_column("notice", sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE notice SET retry_at = received_at")
    op.alter_column("notice", "retry_at", nullable=False)
    op.drop_index("ix_notice_open", table_name="notice")
    op.create_index(
        "ix_notice_open", "notice", ["retry_at"], unique=False, postgresql_where=sa.text("handled_at IS NULL")
    )


def _book_what_is_there() -> None:
    """Money that moved before there was a ledger."""
    op.execute(
        """
        INSERT INTO posting (cause, debit, credit, amount_fen, currency, payable, at)
        WITH p AS (
            SELECT *, CASE WHEN applied THEN 'sales' ELSE 'unapplied' END AS home,
                CASE WHEN external THEN 'elsewhere' ELSE 'wechat' END AS here
            FROM payment WHERE state = 'received'
        ), r AS (
            SELECT refund.*, p.home, p.here, p.currency FROM refund JOIN p ON p.id = refund.payment_id
        ), movement (cause, debit, credit, amount_fen, currency, payable, at) AS (
            SELECT 'received:' || out_trade_no, here, home, received_fen, currency, payable, received_at FROM p
            UNION ALL
            SELECT 'refund:' || out_refund_no, home, 'refunds_payable', amount_fen, currency, payable, requested_at FROM r
            UNION ALL
            SELECT 'refunded:' || out_refund_no, 'refunds_payable', here, amount_fen, currency, payable, succeeded_at
            FROM r WHERE state = 'succeeded'
            UNION ALL
            SELECT 'refund_ended:' || out_refund_no, 'refunds_payable', home, amount_fen, currency, payable, requested_at
            FROM r WHERE state IN ('closed', 'refused')
        )
        SELECT * FROM movement ORDER BY at
        """
    )
