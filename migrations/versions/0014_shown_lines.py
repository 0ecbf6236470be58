"""An order keeps its lines as its buyer is shown them, until one of them changes.

A member looks at lists of orders far more often than anybody changes a line: a list is then read from one table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("orders", sa.Column("shown_lines", sa.Text(), nullable=True))
    # Whoever changes a line has the order's lock already: that comes first everywhere.
    op.execute(
        """
        CREATE FUNCTION forget_shown_lines() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE orders SET shown_lines = NULL
            WHERE id IN (SELECT order_id FROM changed) AND shown_lines IS NOT NULL;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER forget_shown_lines AFTER UPDATE ON order_line REFERENCING NEW TABLE AS changed"
        " FOR EACH STATEMENT EXECUTE FUNCTION forget_shown_lines()"
    )
