"""What is looked up for every order and every hour has an index of its own, and no more than that in it."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    # A member's unpaid orders are counted with each new one: without it the planner reads those of the whole shop.
    _index("ix_orders_awaiting", "orders", "member_id", "state IN ('unpaid', 'closing')")
    # What is dropped after some months is found without reading what is kept.
    _index("ix_notice_handled_at", "notice", "handled_at", "handled_at IS NOT NULL")


def _index(name: str, table: str, column: str, where: str) -> None:
    """While the shop writes. One that was given up half way is there, and not valid: it is made anew."""
    with op.get_context().autocommit_block():
        op.drop_index(name, table, postgresql_concurrently=True, if_exists=True)
        op.create_index(name, table, [column], postgresql_where=sa.text(where), postgresql_concurrently=True)
