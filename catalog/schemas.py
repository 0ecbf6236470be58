"""What buyers read of the catalog."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from kit.fields import Url, Word

Sort = Literal["default", "price", "-price", "-sold", "-new"]
Slug = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[0-9A-Za-z_-]+$(?!\n)")]
SearchWords = Annotated[str, Meta(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)")]


class CategoryNode(msgspec.Struct, rename="camel", kw_only=True):
    """A category and what hangs below it."""

    id: str
    name: str
    image: str | None
    children: list["CategoryNode"]


class CategoryTree(msgspec.Struct, rename="camel"):
    items: list[CategoryNode]


class ProductItem(msgspec.Struct, rename="camel"):
    """A product in a list. Prices in fen, of the cheapest SKU."""

    id: str
    title: str
    subtitle: str
    image: str
    price_fen: int
    max_price_fen: int
    list_price_fen: int | None
    tags: list[str]
    sold: int
    stock: int
    """Pieces free to sell, of all its SKUs."""
    sku_id: str | None
    """Its only SKU, so that a client can put it into the cart with one tap; else null."""


class SpecValue(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    id: Slug
    name: Word
    image: Url | None = None


class Spec(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Something to choose: a colour, a size."""

    id: Slug
    name: Word
    values: Annotated[list[SpecValue], Meta(min_length=1, max_length=50)]


class Option(msgspec.Struct, rename="camel"):
    """The value that a SKU has of one spec."""

    spec_id: str
    value_id: str
    name: str


class SkuDetail(msgspec.Struct, rename="camel"):
    id: str
    price_fen: int
    list_price_fen: int | None
    image: str | None
    weight_g: int
    options: list[Option]
    stock: int


class ProductDetail(msgspec.Struct, rename="camel", kw_only=True):
    """Everything that the product's page shows."""

    id: str
    category_id: str
    title: str
    subtitle: str
    images: list[str]
    detail_images: list[str]
    description: str
    tags: list[str]
    price_fen: int
    max_price_fen: int
    list_price_fen: int | None
    sold: int
    stock: int
    specs: list[Spec]
    skus: list[SkuDetail]
