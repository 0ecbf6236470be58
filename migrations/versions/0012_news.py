"""What processes keep in memory is told to them by the database when it changes: products, categories, sessions, members."""

from alembic import op

revision = "0012"
down_revision = "0011"

# `sold` is left out: a sweep writes it once a minute for whatever was sold, and nothing waits for it.
_PRODUCT = (
    "category_id, title, subtitle, images, detail_images, description, specs, tags, min_price_fen, max_price_fen,"
    " list_price_fen, priority, status"
)


def upgrade() -> None:
    op.execute(
        """
        -- Arguments: the channel, and the column whose values, old and new, are said on it. Heard after the commit only.
        CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP <> 'INSERT' THEN PERFORM pg_notify(TG_ARGV[0], to_jsonb(OLD) ->> TG_ARGV[1]); END IF;
            IF TG_OP <> 'DELETE' THEN PERFORM pg_notify(TG_ARGV[0], to_jsonb(NEW) ->> TG_ARGV[1]); END IF;
            RETURN NULL;
        END $$
        """
    )
    for name, event, table, channel, column in (
        ("tell", "INSERT OR DELETE", "product", "product", "id"),
        ("tell_change", f"UPDATE OF {_PRODUCT}", "product", "product", "id"),
        ("tell", "INSERT OR UPDATE OR DELETE", "sku", "product", "product_id"),
        ("tell", "INSERT OR UPDATE OR DELETE", "category", "category", "id"),
        ("tell", "UPDATE OF revoked_at OR DELETE", "member_session", "session", "token_hash"),
        ("tell", "UPDATE OF status", "member", "member", "id"),
        ("tell", "UPDATE OF member_id", "identity", "member", "member_id"),
    ):
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION tell('{channel}', '{column}')"
        )
