"""What is for sale, and the stock with its movements."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _category()
    _product()
    _sku()
    _stock()


def _category() -> None:
    op.create_table(
        "category",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("level", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("image", sa.Text(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        sa.CheckConstraint("level BETWEEN 1 AND 3", name=op.f("ck_category_level")),
        sa.ForeignKeyConstraint(["parent_id"], ["category.id"], name="fk_category_parent_id"),
        sa.PrimaryKeyConstraint("id", name="pk_category"),
    )
    op.create_index("ix_category_parent_id", "category", ["parent_id"])


def _product() -> None:
    op.create_table(
        "product",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("category_id", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("subtitle", sa.Text(), nullable=False),
        sa.Column("images", postgresql.JSONB(), nullable=False),
        sa.Column("detail_images", postgresql.JSONB(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("specs", postgresql.JSONB(), nullable=False),
        sa.Column("tags", postgresql.JSONB(), nullable=False),
        sa.Column("min_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("max_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("list_price_fen", sa.BigInteger(), nullable=True),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("sold_before", sa.BigInteger(), nullable=False),
        sa.Column("sold", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("search_vector", postgresql.TSVECTOR(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("status IN ('draft', 'on_sale', 'off_sale')", name=op.f("ck_product_status")),
        sa.CheckConstraint("min_price_fen > 0 AND max_price_fen >= min_price_fen", name=op.f("ck_product_price")),
        sa.CheckConstraint("sold >= sold_before AND sold_before >= 0", name=op.f("ck_product_sold")),
        sa.ForeignKeyConstraint(["category_id"], ["category.id"], name="fk_product_category_id"),
        sa.PrimaryKeyConstraint("id", name="pk_product"),
    )
    op.create_index("ix_product_category_id", "product", ["category_id"])
    op.create_index("ix_product_search_vector", "product", ["search_vector"], postgresql_using="gin")
    # What buyers list holds only what is on sale; each order they may choose is one index, read in either direction.
    for columns in (["priority", "sold", "id"], ["sold", "id"], ["min_price_fen", "id"]):
        name = f"ix_product_on_sale_{'_'.join(columns)}"
        op.create_index(name, "product", columns, postgresql_where=sa.text("status = 'on_sale'"))


def _sku() -> None:
    op.create_table(
        "sku",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("options", postgresql.JSONB(), nullable=False),
        sa.Column("price_fen", sa.BigInteger(), nullable=False),
        sa.Column("list_price_fen", sa.BigInteger(), nullable=True),
        sa.Column("image", sa.Text(), nullable=True),
        sa.Column("weight_g", sa.BigInteger(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.CheckConstraint("price_fen > 0", name=op.f("ck_sku_price_fen")),
        sa.CheckConstraint("list_price_fen > 0", name=op.f("ck_sku_list_price_fen")),
        sa.CheckConstraint("weight_g >= 0", name=op.f("ck_sku_weight_g")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="fk_sku_product_id"),
        sa.PrimaryKeyConstraint("id", name="pk_sku"),
    )
    op.create_index("ix_sku_product_id", "sku", ["product_id"])
    op.create_index("ix_sku_code", "sku", ["code"], unique=True)


def _stock() -> None:
    op.create_table(
        "location",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_location"),
    )
    # The identity hands out 1 itself, so that the next location becomes 2.
    op.execute("INSERT INTO location (name) VALUES ('默认仓')")
    op.create_table(
        "stock",
        sa.Column("sku_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("location_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("available", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("sold", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("available >= 0", name=op.f("ck_stock_available")),
        sa.CheckConstraint("reserved >= 0", name=op.f("ck_stock_reserved")),
        sa.CheckConstraint("sold >= 0", name=op.f("ck_stock_sold")),
        sa.ForeignKeyConstraint(["sku_id"], ["sku.id"], name="fk_stock_sku_id"),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name="fk_stock_location_id"),
        sa.PrimaryKeyConstraint("sku_id", "location_id", name="pk_stock"),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "stock_move",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("sku_id", sa.BigInteger(), nullable=False),
        sa.Column("location_id", sa.BigInteger(), nullable=False),
        sa.Column("delta_available", sa.BigInteger(), nullable=False),
        sa.Column("delta_reserved", sa.BigInteger(), nullable=False),
        sa.Column("delta_sold", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stock_move"),
    )
    op.create_index("ix_stock_move_sku_id_id", "stock_move", ["sku_id", "id"])
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON stock_move FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
