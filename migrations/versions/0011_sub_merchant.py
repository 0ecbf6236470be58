"""Whose money a payment is when a partner collects it."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("payment", sa.Column("sub_mchid", sa.Text(), nullable=True))
