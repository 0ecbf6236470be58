"""What the Mini Program calls. Every write answers the whole cart, so that the page needs no second request."""

from typing import Any

from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import UNSET

from catalog.offers import NotOnSale, UnknownSku
from kit.database import Database, raw
from kit.errors import InvalidInput, SignInNeeded
from kit.fields import as_id
from kit.web.declared import BODY, declared
from kit.web.parameters import PathId
from kit.web.ready import Ready
from shop.cart import basket, schemas, view
from shop.cart.basket import CartFull, NotEnoughStock, NotInCart, TooManyPieces
from shop.cart.own_cart import OwnCart
from shop.cart.schemas import CartCount, CartItemBody, CartLineBody, CartView, SelectionBody
from shop.members.edge import MEMBER_ONLY
from shop.members.sessions import SignedIn

_TAGS = ["cart"]


@get(
    "/cart",
    operation_id="getCart",
    summary="The whole cart at today's prices",
    tags=_TAGS,
    security=MEMBER_ONLY,
    responses=declared(SignInNeeded),
)
async def get_cart(member: NamedDependency[SignedIn], own_cart: NamedDependency[OwnCart]) -> Response[CartView]:
    return Ready(await own_cart.whole(member.member_id))


@get(
    "/cart/count",
    operation_id="countCart",
    summary="Kinds and pieces, for the badge",
    tags=_TAGS,
    security=MEMBER_ONLY,
    responses=declared(SignInNeeded),
)
async def count_cart(member: NamedDependency[SignedIn], db: NamedDependency[Database]) -> CartCount:
    async with db.begin() as session:
        kinds, pieces = await basket.count(session, member.member_id)
    return CartCount(kinds, pieces)


@post(
    "/cart/items",
    operation_id="addToCart",
    summary="Put pieces of a SKU in",
    tags=_TAGS,
    security=MEMBER_ONLY,
    status_code=200,
    responses=declared(*BODY, SignInNeeded, NotEnoughStock, UnknownSku, NotOnSale, CartFull, TooManyPieces),
)
async def add_to_cart(
    data: JSONBody[CartItemBody], member: NamedDependency[SignedIn], own_cart: NamedDependency[OwnCart]
) -> Response[CartView]:
    return Ready(await own_cart.add(member.member_id, data))


@put(
    "/cart/items/{sku_id:str}",
    operation_id="updateCartItem",
    summary="Set quantity and selection of a line",
    tags=_TAGS,
    security=MEMBER_ONLY,
    responses=declared(*BODY, SignInNeeded, NotInCart, NotEnoughStock, NotOnSale),
)
async def update_cart_item(
    sku_id: PathId, data: JSONBody[CartLineBody], member: NamedDependency[SignedIn], db: NamedDependency[Database]
) -> CartView:
    async with db.begin() as session:
        await basket.set_line(
            session,
            member.member_id,
            as_id(sku_id),
            quantity=None if data.quantity is UNSET else data.quantity,
            selected=None if data.selected is UNSET else data.selected,
        )
        cart = await view.whole(await raw(session), member.member_id)
    return schemas.cart_view(cart)


@delete(
    "/cart/items/{sku_id:str}",
    operation_id="removeCartItem",
    summary="Take a line out",
    tags=_TAGS,
    security=MEMBER_ONLY,
    status_code=200,
    responses=declared(InvalidInput, SignInNeeded, NotInCart),
)
async def remove_cart_item(
    sku_id: PathId, member: NamedDependency[SignedIn], db: NamedDependency[Database]
) -> CartView:
    async with db.begin() as session:
        await basket.remove(session, member.member_id, as_id(sku_id))
        cart = await view.whole(await raw(session), member.member_id)
    return schemas.cart_view(cart)


@put(
    "/cart/selection",
    operation_id="selectCartItems",
    summary="Select or unselect lines, or all",
    tags=_TAGS,
    security=MEMBER_ONLY,
    responses=declared(*BODY, SignInNeeded),
)
async def select_cart_items(
    data: JSONBody[SelectionBody], member: NamedDependency[SignedIn], db: NamedDependency[Database]
) -> CartView:
    which = None if data.sku_ids is UNSET else [as_id(sku_id) for sku_id in data.sku_ids]
    async with db.begin() as session:
        await basket.select_lines(session, member.member_id, which, selected=data.selected)
        cart = await view.whole(await raw(session), member.member_id)
    return schemas.cart_view(cart)


@delete(
    "/cart/invalid",
    operation_id="clearInvalidCartItems",
    summary="Take out what cannot be bought now",
    tags=_TAGS,
    security=MEMBER_ONLY,
    status_code=200,
    responses=declared(SignInNeeded),
)
async def clear_invalid_cart_items(member: NamedDependency[SignedIn], db: NamedDependency[Database]) -> CartView:
    async with db.begin() as session:
        await view.clear_invalid(session, member.member_id)
        cart = await view.whole(await raw(session), member.member_id)
    return schemas.cart_view(cart)


ROUTES: list[Any] = [
    get_cart,
    count_cart,
    add_to_cart,
    update_cart_item,
    remove_cart_item,
    select_cart_items,
    clear_invalid_cart_items,
]
