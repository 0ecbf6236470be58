"""What a wish would cost now, and what stands in its way. `consider` reads and answers; `judge` is its pure part, by
which orders are placed too (`placing`).
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from catalog import offers, stock
from catalog.offers import NotOnSale, Offer, UnknownSku
from kit.errors import Conflict, Problem, TooMany, Unprocessable
from shop.cart import basket
from shop.members import addresses
from shop.members.sessions import SignedIn
from shop.orders import pricing
from shop.orders.models import OrderLine
from shop.orders.pricing import Line, Quote
from shop.shipping import freight, templates

PAY_WITHIN: Final = timedelta(minutes=30)
MAX_LINES: Final = 50
MAX_AWAITING: Final = 20
"""Unpaid orders of one member: nobody may hold the whole stock without paying."""


class EmptyWish(Unprocessable):
    """There is nothing to order: choose lines, or select some in the cart."""

    zh = "没有可结算的商品"


class TooManyKinds(Unprocessable):
    """An order has at most {most} kinds of goods, and these are {chosen}; take some out."""

    zh = "一笔订单最多 {most} 种商品，当前选择了 {chosen} 种"


class AddressNeeded(Unprocessable):
    """Choose an address of yours."""

    zh = "请选择收货地址"


class NotDelivered(Unprocessable):
    """We do not deliver to {province}."""

    zh = "暂不支持配送至{province}"


class PriceChanged(Conflict):
    """The price is {total_fen} fen now, not {expected_fen}; look at the new preview and confirm."""

    zh = "价格已变动，请确认后再提交"


class TooManyUnpaid(TooMany):
    """Pay or cancel one of your {limit} unpaid orders first."""

    zh = "待付款订单过多，请先支付或取消"


class Wish(msgspec.Struct, frozen=True):
    """What a member means to order. `lines` are (sku_id, quantity); with `from_cart` they are the cart's selected ones."""

    lines: Sequence[tuple[int, int]]
    from_cart: bool = False
    address_id: int | None = None
    note: str = ""
    source: dict[str, Any] = {}


class Destination(msgspec.Struct, frozen=True):
    """Where it goes: a snapshot of one of the member's addresses."""

    id: int
    name: str
    phone: str
    province: str
    city: str
    district: str
    detail: str
    tag: str


class Considered(msgspec.Struct):
    """What the wish would cost now. `problems` are what stands in the way, in order of importance."""

    quote: Quote
    stock: dict[int, int]
    """Pieces left by SKU."""
    address: Destination | None
    problems: list[Problem]

    @property
    def payable(self) -> bool:
        return not self.problems


async def consider(session: AsyncSession, member: SignedIn, wish: Wish) -> Considered:
    """Price the wish at today's prices. Raises `EmptyWish`, `TooManyKinds`, `UnknownSku`, `OrderTooLarge` (422)."""
    lines = await basket.selected(session, member.member_id) if wish.from_cart else wish.lines
    wants = summed(lines)
    found = await offers.quote(session, list(wants))
    address = await _destination(session, member, wish)
    return judge(wants, found, address, await templates.default(session))


def summed(lines: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Quantities by SKU; two lines of one SKU are one. Raises `EmptyWish`, `TooManyKinds` (422)."""
    wants: dict[int, int] = {}
    for sku_id, quantity in lines:
        wants[sku_id] = wants.get(sku_id, 0) + quantity
    if not wants:
        raise EmptyWish
    if len(wants) > MAX_LINES:
        raise TooManyKinds(most=MAX_LINES, chosen=len(wants))
    return wants


def judge(
    wants: dict[int, int], found: dict[int, Offer], address: Destination | None, template: freight.Template
) -> Considered:
    """The price of `wants`, and every problem with them. Pure. Raises `UnknownSku`, `OrderTooLarge` (422)."""
    for sku_id in wants:
        if sku_id not in found:
            raise UnknownSku(sku_id=str(sku_id))
    chosen = [found[sku_id] for sku_id in wants]
    quote = pricing.goods([_line(offer, wants[offer.sku_id]) for offer in chosen])
    problems: list[Problem] = [NotOnSale(title=o.title, sku_id=str(o.sku_id)) for o in chosen if not o.on_sale]
    short = [
        {"skuId": str(offer.sku_id), "wanted": wants[offer.sku_id], "available": offer.available}
        for offer in sorted(chosen, key=lambda offer: offer.sku_id)
        if offer.on_sale and offer.available < wants[offer.sku_id]
    ]
    if short:
        problems.append(stock.OutOfStock(items=short))
    if address is None:
        problems.append(AddressNeeded(field="addressId"))
    else:
        quote = _with_freight(quote, template, address.province, problems)
    return Considered(quote, {offer.sku_id: offer.available for offer in chosen}, address, problems)


def wants_of(lines: Sequence[Line] | Sequence[OrderLine]) -> list[stock.Want]:
    return [stock.Want(sku_id=line.sku_id, quantity=line.quantity) for line in lines]


def _line(offer: Offer, quantity: int) -> Line:
    return Line(
        sku_id=offer.sku_id,
        product_id=offer.product_id,
        title=offer.title,
        options=list(offer.options),
        image=offer.image,
        unit_fen=offer.price_fen,
        quantity=quantity,
        weight_g=offer.weight_g,
    )


async def _destination(session: AsyncSession, member: SignedIn, wish: Wish) -> Destination | None:
    """The chosen address, if it is the member's own; without a choice, the one they use."""
    try:
        found = (
            await addresses.find_default(session, member.member_id)
            if wish.address_id is None
            else await addresses.get(session, member.member_id, wish.address_id)
        )
    except addresses.AddressNotFound:
        return None
    return None if found is None else msgspec.convert(found, Destination, from_attributes=True)


def _with_freight(quote: Quote, template: freight.Template, province: str, problems: list[Problem]) -> Quote:
    undeliverable = False

    def freight_of(weight_g: int, goods_fen: int) -> int:
        nonlocal undeliverable
        price = freight.price(template, weight_g=weight_g, goods_fen=goods_fen, province=province)
        if isinstance(price, int):
            return price
        undeliverable = True
        return 0

    priced = pricing.with_freight(quote, freight_of)
    if undeliverable:
        problems.append(NotDelivered(province=province))
    return priced
