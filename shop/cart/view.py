"""Whole carts as they stand now: lines joined with today's offers."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ARRAY, BigInteger
from sqlalchemy.ext.asyncio import AsyncSession

from catalog import offers
from catalog.models import DEFAULT_LOCATION
from catalog.offers import Offer
from kit.database import Instant, raw
from kit.statement import Statement
from shop.cart import basket

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


EMPTY = Cart((), ())


_OFFERED = f"""
    SELECT c.member_id, c.quantity, c.selected, {offers.COLUMNS} FROM lines c, {offers.TABLES} WHERE k.id = c.sku_id
    ORDER BY c.added_at DESC, c.sku_id DESC
"""  # noqa: S608  (our own constants)
_LINES = "SELECT member_id, sku_id, quantity, selected, added_at FROM cart_line WHERE member_id = ANY(:members)"
_MEMBERS = ARRAY(BigInteger)

_WHOLE = Statement(f"WITH lines AS ({_LINES}) {_OFFERED}", members=_MEMBERS)
# The conflict's condition is judged on the row as it is then, after whoever held it: no race exceeds the stock or the
# most. Rows are taken in one order, so that two batches of two processes never wait for each other in a circle.
_ADD = Statement(
    f"""
    WITH wish AS MATERIALIZED (
        SELECT * FROM unnest(:members, :skus, :quantities, :ats) AS w (member_id, sku_id, quantity, at)
    ), present AS MATERIALIZED (
        {_LINES}
    ), bound AS MATERIALIZED (
        SELECT w.*, least(s.available, :most) AS most FROM wish w, {offers.TABLES}
        WHERE k.id = w.sku_id AND k.enabled AND p.status = 'on_sale'
    ), put AS (
        INSERT INTO cart_line AS c (member_id, sku_id, quantity, selected, added_at)
        SELECT member_id, sku_id, quantity, true, at FROM bound b
        WHERE quantity <= most AND (SELECT count(*) FROM present x WHERE x.member_id = b.member_id) < :room
        ORDER BY member_id, sku_id
        ON CONFLICT (member_id, sku_id) DO UPDATE SET quantity = c.quantity + excluded.quantity, selected = true
        WHERE c.quantity + excluded.quantity
            <= (SELECT most FROM bound b WHERE b.member_id = c.member_id AND b.sku_id = c.sku_id)
        RETURNING member_id, sku_id, quantity, selected, added_at
    ), lines AS (
        SELECT * FROM put
        UNION ALL
        SELECT x.* FROM present x JOIN put USING (member_id) WHERE put.sku_id <> x.sku_id
    )
    {_OFFERED}
    """,  # noqa: S608
    members=_MEMBERS,
    skus=ARRAY(BigInteger),
    quantities=ARRAY(BigInteger),
    ats=ARRAY(Instant),
)


class More(msgspec.Struct, frozen=True):
    """So many pieces more into a member's cart."""

    member_id: int
    sku_id: int
    quantity: int
    at: datetime


async def read(connection: Any, member_ids: Sequence[int]) -> dict[int, Cart]:
    """The carts of some members, by a bare connection or the one underneath a session; an empty one is not among them."""
    rows = await _WHOLE.fetch(connection, members=list(member_ids), location=DEFAULT_LOCATION)
    return _carts(rows)


async def whole(connection: Any, member_id: int) -> Cart:
    return (await read(connection, [member_id])).get(member_id, EMPTY)


async def with_more(connection: Any, wishes: Sequence[More]) -> dict[int, Cart]:
    """Put each wish (one of a member) in, selected, and the whole carts after it: one statement.

    Where there is any doubt nothing changes and the member is not among them: `basket.add` decides then, and says why.
    """
    rows = await _ADD.fetch(
        connection,
        members=[wish.member_id for wish in wishes],
        skus=[wish.sku_id for wish in wishes],
        quantities=[wish.quantity for wish in wishes],
        ats=[wish.at for wish in wishes],
        location=DEFAULT_LOCATION,
        most=basket.MAX_PIECES,
        room=basket.MAX_LINES // 2,
    )
    return _carts(rows)


def _carts(rows: Sequence[Any]) -> dict[int, Cart]:
    items: defaultdict[int, list[Item]] = defaultdict(list)
    for row in rows:
        items[row[0]].append(_item(offers.read(row, first=3), row[1], row[2]))
    return {
        member_id: Cart(
            items=[item for item in found if item.reason is None],
            invalid=[item for item in found if item.reason is not None],
        )
        for member_id, found in items.items()
    }


def _item(offer: Offer, quantity: int, selected: bool) -> Item:
    reason = OFF_SALE if not offer.on_sale else SOLD_OUT if offer.available < 1 else None
    return Item(offer, quantity, selected, reason)


async def clear_invalid(session: AsyncSession, member_id: int) -> None:
    """Remove what cannot be bought now."""
    cart = await whole(await raw(session), member_id)
    await basket.take(session, member_id, [item.offer.sku_id for item in cart.invalid])
