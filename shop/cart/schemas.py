"""Bodies on the wire."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kit.fields import Id
from shop.cart.basket import MAX_LINES, MAX_PIECES
from shop.cart.view import Cart, Item

Pieces = Annotated[int, Meta(ge=1, le=MAX_PIECES, description="Pieces")]


class _Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    pass


class CartItemBody(_Body):
    """`quantity` pieces more."""

    sku_id: Id
    quantity: Pieces


class CartLineBody(_Body):
    """What is left out stays; `quantity` is how many in all."""

    quantity: Pieces | UnsetType = UNSET
    selected: bool | UnsetType = UNSET


class SelectionBody(_Body):
    """Without `sku_ids`: the whole cart."""

    selected: bool
    sku_ids: Annotated[list[Id], Meta(max_length=MAX_LINES)] | UnsetType = UNSET


class CartItem(msgspec.Struct, rename="camel", kw_only=True):
    """`price_fen` is today's. `shortage`: pieces wanted that are not there."""

    sku_id: Id
    product_id: Id
    title: str
    image: str
    options: list[str]
    price_fen: int
    list_price_fen: int | None
    quantity: int
    stock: int
    selected: bool
    shortage: int


class InvalidItem(msgspec.Struct, rename="camel", kw_only=True):
    """`reason`: `off_sale` or `sold_out`; more may come."""

    sku_id: Id
    product_id: Id
    title: str
    image: str
    options: list[str]
    quantity: int
    reason: str


class CartView(msgspec.Struct, rename="camel", kw_only=True):
    """`kinds`: lines, invalid ones too. `selected_count`: pieces. `goods_fen`: what the selected items cost today."""

    items: list[CartItem]
    invalid: list[InvalidItem]
    kinds: int
    selected_count: int
    selected_all: bool
    goods_fen: int


class CartCount(msgspec.Struct, rename="camel"):
    """`count`: pieces."""

    kinds: int
    count: int


def cart_view(cart: Cart) -> CartView:
    chosen = cart.selected_items
    return CartView(
        items=[_item(item) for item in cart.items],
        invalid=[_invalid(item) for item in cart.invalid],
        kinds=len(cart.items) + len(cart.invalid),
        selected_count=sum(item.quantity for item in chosen),
        selected_all=bool(cart.items) and len(chosen) == len(cart.items),
        goods_fen=sum(item.quantity * item.offer.price_fen for item in chosen),
    )


def _item(item: Item) -> CartItem:
    offer = item.offer
    return CartItem(
        sku_id=str(offer.sku_id),
        product_id=str(offer.product_id),
        title=offer.title,
        image=offer.image,
        options=offer.options,
        price_fen=offer.price_fen,
        list_price_fen=offer.list_price_fen,
        quantity=item.quantity,
        stock=offer.available,
        selected=item.selected,
        shortage=item.shortage,
    )


def _invalid(item: Item) -> InvalidItem:
    offer = item.offer
    return InvalidItem(
        sku_id=str(offer.sku_id),
        product_id=str(offer.product_id),
        title=offer.title,
        image=offer.image,
        options=offer.options,
        quantity=item.quantity,
        reason=item.reason or "",
    )
