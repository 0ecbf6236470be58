"""Tables: what is for sale (category, product, SKU) and how much of it there is (location, stock, stock moves).

Stock stands in its own narrow table, since it changes with every order while a product changes once a week; and every
movement is kept, so that each counter can be proved: it equals the sum of its deltas.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from kit.database import Table
from kit.errors import Conflict

DEFAULT_LOCATION = 1
"""Where the shop sells from unless told otherwise; made by the migration."""

MAX_LEVEL = 3


class ProductStatus(StrEnum):
    DRAFT = "draft"
    ON_SALE = "on_sale"
    OFF_SALE = "off_sale"


MOVES: dict[ProductStatus, frozenset[ProductStatus]] = {
    ProductStatus.DRAFT: frozenset({ProductStatus.ON_SALE}),
    ProductStatus.ON_SALE: frozenset({ProductStatus.OFF_SALE}),
    ProductStatus.OFF_SALE: frozenset({ProductStatus.ON_SALE}),
}


class IllegalProductMove(Conflict):
    """A product that is {state} cannot become {wanted}."""

    zh = "商品当前状态（{state}）不能变为 {wanted}"


class Category(Table):
    """A tree of at most three levels; products hang on any of them."""

    __tablename__ = "category"
    __table_args__ = (CheckConstraint(f"level BETWEEN 1 AND {MAX_LEVEL}", name="level"), Index(None, "parent_id"))

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("category.id"))
    level: Mapped[int]
    name: Mapped[str]
    image: Mapped[str | None]
    position: Mapped[int]
    """Smaller first, among siblings."""
    hidden: Mapped[bool]
    """Neither it nor what hangs below it is shown in the tree; its products stay reachable."""


def _on_sale(*columns: str) -> Index:
    name = f"ix_product_on_sale_{'_'.join(columns)}"
    return Index(name, *columns, postgresql_where=text("status = 'on_sale'"))


class Product(Table):
    """An SPU. What buyers see of it; its SKUs are what they buy."""

    __tablename__ = "product"
    __table_args__ = (
        CheckConstraint("status IN ('draft', 'on_sale', 'off_sale')", name="status"),
        CheckConstraint("min_price_fen > 0 AND max_price_fen >= min_price_fen", name="price"),
        CheckConstraint("sold >= sold_before AND sold_before >= 0", name="sold"),
        Index(None, "category_id"),
        Index(None, "search_vector", postgresql_using="gin"),
        _on_sale("priority", "sold", "id"),
        _on_sale("sold", "id"),
        _on_sale("min_price_fen", "id"),
        _on_sale("category_id", "priority", "sold", "id"),
        _on_sale("category_id", "sold", "id"),
        _on_sale("category_id", "min_price_fen", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    category_id: Mapped[int] = mapped_column(ForeignKey("category.id"))
    title: Mapped[str]
    subtitle: Mapped[str]
    images: Mapped[list[str]] = mapped_column(JSONB)
    detail_images: Mapped[list[str]] = mapped_column(JSONB)
    description: Mapped[str]
    specs: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    """`[{"id", "name", "values": [{"id", "name", "image"}]}]`; a SKU chooses one value of each."""
    tags: Mapped[list[str]] = mapped_column(JSONB)
    min_price_fen: Mapped[int]
    """Of its enabled SKUs, kept in step by every write of them."""
    max_price_fen: Mapped[int]
    list_price_fen: Mapped[int | None]
    """Of the cheapest enabled SKU: the price that is struck through."""
    priority: Mapped[int]
    """The operator's hand in the default order: greater first."""
    sold_before: Mapped[int]
    """Pieces sold before this program kept count."""
    sold: Mapped[int]
    """`sold_before` plus what the stock says, as of the last `popularity.refresh`."""
    status: Mapped[str]
    version: Mapped[int]
    """Grows with every edit; an edit names the one it read."""
    search_vector: Mapped[str] = mapped_column(TSVECTOR, deferred=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    def move(self, to: ProductStatus) -> None:
        """Raises `IllegalProductMove`."""
        if to not in MOVES[ProductStatus(self.status)]:
            raise IllegalProductMove(state=self.status, wanted=to.value)
        self.status = to.value


class Sku(Table):
    """One thing that can be bought. Never deleted: orders, carts and movements name it; it is disabled instead."""

    __tablename__ = "sku"
    __table_args__ = (
        CheckConstraint("price_fen > 0", name="price_fen"),
        CheckConstraint("list_price_fen > 0", name="list_price_fen"),
        CheckConstraint("weight_g >= 0", name="weight_g"),
        Index(None, "product_id"),
        Index(None, "code", unique=True),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    position: Mapped[int]
    code: Mapped[str]
    """The operator's own number for it."""
    options: Mapped[list[dict[str, str]]] = mapped_column(JSONB)
    """`[{"specId", "valueId", "name"}]`, in the order of the product's specs."""
    price_fen: Mapped[int]
    list_price_fen: Mapped[int | None]
    image: Mapped[str | None]
    weight_g: Mapped[int]
    enabled: Mapped[bool]


class Location(Table):
    """Where stock lies: a warehouse, a store, or a sales channel's own quota."""

    __tablename__ = "location"

    id: Mapped[int] = mapped_column(Identity(always=False), primary_key=True)
    name: Mapped[str]


class Stock(Table):
    """How many pieces of a SKU a location has: free to sell, promised to unpaid orders, sold."""

    __tablename__ = "stock"
    __table_args__ = (
        CheckConstraint("available >= 0", name="available"),
        CheckConstraint("reserved >= 0", name="reserved"),
        CheckConstraint("sold >= 0", name="sold"),
        # Updated by every order: room on the page keeps those updates there (HOT).
        {"postgresql_with": {"fillfactor": 70}},
    )

    sku_id: Mapped[int] = mapped_column(ForeignKey("sku.id"), primary_key=True, autoincrement=False)
    location_id: Mapped[int] = mapped_column(ForeignKey("location.id"), primary_key=True, autoincrement=False)
    available: Mapped[int]
    reserved: Mapped[int]
    sold: Mapped[int]


class StockMove(Table):
    """One movement. Without foreign keys: it is written only from the stock row that its own statement has changed."""

    __tablename__ = "stock_move"
    __table_args__ = (Index(None, "sku_id", "id"), {"info": {"append_only": True}})

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    sku_id: Mapped[int]
    location_id: Mapped[int]
    delta_available: Mapped[int]
    delta_reserved: Mapped[int]
    delta_sold: Mapped[int]
    reason: Mapped[str]
    """`reserve`, `release`, `sell`, `restock`, `receive`, `initial`, or an operator's own words."""
    ref: Mapped[str]
    """What it was for: an order's or a refund's `no`, or empty."""
    actor: Mapped[str]
    """Who did it: `member:12`, `staff:7`, `worker`."""
    at: Mapped[datetime]
