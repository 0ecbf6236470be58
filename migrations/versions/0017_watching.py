"""Jobs that wait for a person are counted by an index; the rules of 0016 are proved for the members of before."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    # In a transaction of its own: this reads all members and holds up none of them.
    op.execute("ALTER TABLE member VALIDATE CONSTRAINT ck_member_status")
    op.execute("ALTER TABLE member VALIDATE CONSTRAINT ck_member_erased")
    # The metrics ask for it every few seconds, and must not read the whole queue for the answer.
    with op.get_context().autocommit_block():
        op.drop_index("ix_pgqueuer_failed", "pgqueuer", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            "ix_pgqueuer_failed",
            "pgqueuer",
            ["updated"],
            postgresql_where=sa.text("status = 'failed'"),
            postgresql_concurrently=True,
        )
