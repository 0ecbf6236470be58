"""The whole cart as it stands now: lines joined with today's offers, and their sums."""

from collections.abc import Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from catalog import offers
from catalog.offers import Offer
from shop.cart import basket
from shop.cart.models import CartLine

SOLD_OUT = "sold_out"
OFF_SALE = "off_sale"


class Item(msgspec.Struct, frozen=True):
    """A line with its offer. `reason`: why it cannot be bought now."""

    offer: Offer
    quantity: int
    selected: bool
    reason: str | None

    @property
    def shortage(self) -> int:
        """Pieces wanted that are not there."""
        return max(0, self.quantity - self.offer.available)


class Cart(msgspec.Struct, frozen=True):
    items: Sequence[Item]
    invalid: Sequence[Item]

    @property
    def selected_items(self) -> list[Item]:
        return [item for item in self.items if item.selected]


async def whole(session: AsyncSession, member_id: int) -> Cart:
    lines = await basket.list_lines(session, member_id)
    found = await offers.quote(session, [line.sku_id for line in lines])
    items = [_item(line, found[line.sku_id]) for line in lines]
    return Cart(
        items=[item for item in items if item.reason is None],
        invalid=[item for item in items if item.reason is not None],
    )


def _item(line: CartLine, offer: Offer) -> Item:
    reason = OFF_SALE if not offer.on_sale else SOLD_OUT if offer.available < 1 else None
    return Item(offer, line.quantity, line.selected, reason)


async def clear_invalid(session: AsyncSession, member_id: int) -> None:
    """Remove what cannot be bought now."""
    cart = await whole(session, member_id)
    await basket.take(session, member_id, [item.offer.sku_id for item in cart.invalid])
