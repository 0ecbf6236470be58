"""From a wish to an order. `consider` answers what it would cost and what stands in the way; `place` does it.

Locks: none before the stock rows, which come last and in SKU order; inserts anywhere.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from catalog import offers, stock
from catalog.offers import NotOnSale, Offer, UnknownSku
from kit.errors import Conflict, Problem, TooMany, Unprocessable
from kit.numbers import new_no
from shop.cart import basket
from shop.members import addresses
from shop.members.sessions import SignedIn
from shop.orders import history, pricing
from shop.orders.models import AWAITING, Order, OrderLine, OrderState
from shop.orders.pricing import Line, Quote
from shop.shipping import freight, templates

PAY_WITHIN: Final = timedelta(minutes=30)
MAX_LINES: Final = 50
MAX_AWAITING: Final = 20
"""Unpaid orders of one member: nobody may hold the whole stock without paying."""


class EmptyWish(Unprocessable):
    """There is nothing to order: choose lines, or select some in the cart."""

    zh = "没有可结算的商品"


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
    """Price the wish at today's prices. Raises `EmptyWish`, `UnknownSku`, `OrderTooLarge` (422)."""
    wants = await _wants(session, member, wish)
    found = await offers.quote(session, list(wants))
    for sku_id in wants:
        if sku_id not in found:
            raise UnknownSku(sku_id=str(sku_id))
    quote = pricing.goods([_line(found[sku_id], quantity) for sku_id, quantity in wants.items()])
    problems: list[Problem] = [NotOnSale(title=o.title, sku_id=str(o.sku_id)) for o in found.values() if not o.on_sale]
    short = [
        {"skuId": str(sku_id), "wanted": quantity, "available": found[sku_id].available}
        for sku_id, quantity in wants.items()
        if found[sku_id].on_sale and found[sku_id].available < quantity
    ]
    if short:
        problems.append(stock.OutOfStock(items=short))
    address = await _destination(session, member, wish)
    if address is None:
        problems.append(AddressNeeded(field="addressId"))
    else:
        quote = await _with_freight(session, quote, address.province, problems)
    return Considered(quote, {sku_id: offer.available for sku_id, offer in found.items()}, address, problems)


async def place(session: AsyncSession, member: SignedIn, wish: Wish, expected_fen: int, at: datetime) -> Order:
    """Place the order or change nothing: goods reserved, prices and address kept, the log begun.

    Raises `PriceChanged` (409, with `considered`), `OutOfStock` (409), and what `consider` finds.
    """
    await _bound_awaiting(session, member)
    considered = await consider(session, member, wish)
    if considered.problems:
        raise considered.problems[0]
    quote, address = considered.quote, considered.address
    assert address is not None
    if quote.total_fen != expected_fen:
        raise PriceChanged(total_fen=quote.total_fen, expected_fen=expected_fen, considered=considered)
    order = _order(member, wish, quote, address, at)
    session.add(order)
    await session.flush()
    await session.execute(insert(OrderLine), _line_rows(order.id, quote))
    history.begin(session, order, by=member.label, at=at)
    if wish.from_cart:
        await basket.take(session, member.member_id, [line.sku_id for line in quote.lines])
    await stock.reserve(session, wants_of(quote.lines), ref=order.no, actor=member.label, at=at)
    return order


def wants_of(lines: Sequence[Line] | Sequence[OrderLine]) -> list[stock.Want]:
    return [stock.Want(sku_id=line.sku_id, quantity=line.quantity) for line in lines]


async def _wants(session: AsyncSession, member: SignedIn, wish: Wish) -> dict[int, int]:
    """Quantities by SKU; two lines of one SKU are one."""
    lines = await basket.selected(session, member.member_id) if wish.from_cart else wish.lines
    wants: dict[int, int] = {}
    for sku_id, quantity in lines:
        wants[sku_id] = wants.get(sku_id, 0) + quantity
    if not wants or len(wants) > MAX_LINES:
        raise EmptyWish(max_lines=MAX_LINES)
    return wants


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


async def _with_freight(session: AsyncSession, quote: Quote, province: str, problems: list[Problem]) -> Quote:
    template = await templates.default(session)
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


async def _bound_awaiting(session: AsyncSession, member: SignedIn) -> None:
    statement = select(func.count()).where(Order.member_id == member.member_id, Order.state.in_(AWAITING))
    if (await session.scalar(statement) or 0) >= MAX_AWAITING:
        raise TooManyUnpaid(limit=MAX_AWAITING)


def _order(member: SignedIn, wish: Wish, quote: Quote, address: Destination, at: datetime) -> Order:
    pay_by = at + PAY_WITHIN
    return Order(
        no=new_no("D"),
        member_id=member.member_id,
        channel="mini_program",
        source=wish.source,
        state=OrderState.UNPAID,
        goods_fen=quote.goods_fen,
        discount_fen=quote.discount_fen,
        freight_fen=quote.freight_fen,
        total_fen=quote.total_fen,
        trace=quote.trace,
        address={k: v for k, v in msgspec.structs.asdict(address).items() if k != "id"},
        note=wish.note,
        pay_by=pay_by,
        close_at=pay_by,
        created_at=at,
    )


def _line_rows(order_id: int, quote: Quote) -> list[dict[str, Any]]:
    return [
        {
            "order_id": order_id,
            "sku_id": line.sku_id,
            "product_id": line.product_id,
            "title": line.title,
            "options": line.options,
            "image": line.image,
            "unit_fen": line.unit_fen,
            "quantity": line.quantity,
            "paid_fen": paid_fen,
        }
        for line, paid_fen in zip(quote.lines, quote.paid_fen, strict=True)
    ]
