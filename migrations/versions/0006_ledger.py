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
