"""What staff send and read of the catalog."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from catalog.models import ProductStatus
from catalog.schemas import Option, Slug, Spec
from kit.fields import Id, Line, OptionalLine, Text, Url, Word

Price = Annotated[int, Meta(ge=1, le=1_000_000_000, description="Money in fen (1/100 yuan), above zero")]
Pictures = Annotated[list[Url], Meta(max_length=20)]
Code = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[!-~]+$(?!\n)")]
Pieces = Annotated[int, Meta(ge=0, le=1_000_000_000, description="Pieces")]
Delta = Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000, description="Pieces more, or fewer")]


class CategoryBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    name: Word
    parent_id: Id | None = None
    image: Url | None = None
    position: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    hidden: bool = False


class CategoryView(msgspec.Struct, rename="camel", kw_only=True):
    id: str
    parent_id: str | None
    level: int
    name: str
    image: str | None
    position: int
    hidden: bool


class CategoryList(msgspec.Struct, rename="camel"):
    items: list[CategoryView]


class OptionBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    spec_id: Slug
    value_id: Slug


class SkuBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """`id` names one that is there already; without it a new one is made."""

    code: Code
    price_fen: Price
    id: Id | None = None
    options: Annotated[list[OptionBody], Meta(max_length=10)] = []
    list_price_fen: Price | None = None
    image: Url | None = None
    weight_g: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    enabled: bool = True


class ProductBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    title: Line
    category_id: Id
    skus: Annotated[list[SkuBody], Meta(min_length=1, max_length=200)]
    subtitle: OptionalLine = ""
    images: Pictures = []
    detail_images: Pictures = []
    description: Text = ""
    specs: Annotated[list[Spec], Meta(max_length=5)] = []
    tags: Annotated[list[Word], Meta(max_length=10)] = []
    priority: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] = 0


class ProductReplacement(ProductBody, forbid_unknown_fields=True, kw_only=True):
    """SKUs that are left out are disabled."""

    version: Annotated[int, Meta(ge=1, le=2**53, description="The version that was read before")]


class SkuView(msgspec.Struct, rename="camel", kw_only=True):
    id: str
    code: str
    options: list[Option]
    price_fen: int
    list_price_fen: int | None
    image: str | None
    weight_g: int
    enabled: bool
    available: int
    reserved: int
    sold: int


class ProductView(msgspec.Struct, rename="camel", kw_only=True):
    id: str
    category_id: str
    title: str
    subtitle: str
    images: list[str]
    detail_images: list[str]
    description: str
    specs: list[Spec]
    tags: list[str]
    price_fen: int
    max_price_fen: int
    list_price_fen: int | None
    priority: int
    sold: int
    status: ProductStatus
    version: int
    created_at: datetime
    updated_at: datetime
    skus: list[SkuView]


class ProductRow(msgspec.Struct, rename="camel"):
    id: str
    title: str
    image: str
    category_id: str
    status: ProductStatus
    price_fen: int
    max_price_fen: int
    sold: int
    stock: int
    updated_at: datetime


class Adjustment(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    delta: Delta
    reason: Word


class Count(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    available: Pieces
    reason: Word


class LevelView(msgspec.Struct, rename="camel"):
    sku_id: str
    available: int
    reserved: int
    sold: int


class MoveView(msgspec.Struct, rename="camel"):
    id: str
    delta_available: int
    delta_reserved: int
    delta_sold: int
    reason: str
    ref: str
    actor: str
    at: datetime


class StockView(msgspec.Struct, rename="camel"):
    """A SKU's stock and a page of its movements, the newest first."""

    level: LevelView
    items: list[MoveView]
    next_cursor: str | None
