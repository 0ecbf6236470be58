"""The first products of a category, by each way of sorting, are found without reading the others; and what is remembered
of lists is told apart from what is remembered of a product: a price changes those that show it, not all there are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

_WAYS = (("priority", "sold", "id"), ("sold", "id"), ("min_price_fen", "id"))
# Which products are in lists, and in which order: `sold` is told to nobody, see 0012.
_PLACE = "category_id, priority, status, search_vector"
_MOVED = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in _PLACE.split(", "))
_TOLD = (
    """
    CREATE TRIGGER tell_lists_coming AFTER INSERT ON product FOR EACH ROW
    WHEN (NEW.status = 'on_sale') EXECUTE FUNCTION tell('listing', 'id')
    """,
    """
    CREATE TRIGGER tell_lists_going AFTER DELETE ON product FOR EACH ROW
    WHEN (OLD.status = 'on_sale') EXECUTE FUNCTION tell('listing', 'id')
    """,
    f"""
    CREATE TRIGGER tell_lists_moving AFTER UPDATE OF {_PLACE} ON product FOR EACH ROW
    WHEN ('on_sale' IN (OLD.status, NEW.status) AND ({_MOVED})) EXECUTE FUNCTION tell('listing', 'id')
    """,
)


def upgrade() -> None:
    for way in _WAYS:
        _index("category_id", *way)
    for trigger in _TOLD:  # last: what commits by itself, as an index does, may have to be tried again
        op.execute(trigger)


def _index(*columns: str) -> None:
    """While the shop writes. One that was given up half way is there, and not valid: it is made anew."""
    name = f"ix_product_on_sale_{'_'.join(columns)}"
    with op.get_context().autocommit_block():
        op.drop_index(name, "product", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            name, "product", columns, postgresql_where=sa.text("status = 'on_sale'"), postgresql_concurrently=True
        )
