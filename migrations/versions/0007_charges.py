"""Every channel of a charge: tokens, combinations, payment codes."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.alter_column("payment", "prepay_id", new_column_name="token")
    op.alter_column("payment", "prepaid_at", new_column_name="token_at")
    op.add_column("payment", sa.Column("combine_no", sa.Text(), nullable=True))
    op.add_column("payment", sa.Column("client_ip", sa.Text(), nullable=True))
    op.add_column("payment", sa.Column("h5_type", sa.Text(), nullable=True))
    op.add_column("payment", sa.Column("reversing_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        "ck_payment_reversing", "payment", "reversing_at IS NULL OR channel = 'code' AND state <> 'received'"
    )
    op.create_index(
        "ix_payment_combine_no", "payment", ["combine_no"], postgresql_where=sa.text("combine_no IS NOT NULL")
    )
