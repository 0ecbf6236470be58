"""Stock: pieces are `available`, become `reserved` by an order, `sold` by its payment, and every movement is kept.

    reserve   available → reserved        receive   (the world) → available
    release   reserved → available        adjust    available ± an operator's correction
    sell      reserved → sold             set_available
    restock   sold → available

Each verb is one statement: it locks its rows in ascending order of SKU (so two orders with the same SKUs in opposite
order never wait for each other in a circle), moves all or nothing, and appends the movements. Stock rows are hot: lock
them last in a transaction. CHECK has the last word: a counter below zero is refused even when the code is wrong, so a
`release` or `sell` of more than is reserved fails as the bug that it is.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import BigInteger, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from catalog.models import DEFAULT_LOCATION
from catalog.movements import PARAMETERS, Want, move, summed
from kit.errors import Conflict, NotFound

__all__ = [
    "BelowZero",
    "Level",
    "NoSuchSku",
    "OutOfStock",
    "Want",
    "adjust",
    "get_level",
    "open_rows",
    "receive",
    "release",
    "reserve",
    "restock",
    "sell",
    "set_available",
]


class Level(msgspec.Struct, frozen=True):
    """What a location has of a SKU, in pieces."""

    sku_id: int
    location_id: int
    available: int
    reserved: int
    sold: int


class OutOfStock(Conflict):
    """Not enough in stock for some of the items."""

    zh = "部分商品库存不足"


class BelowZero(Conflict):
    """Only {available} pieces are available; the adjustment would go below zero."""

    zh = "可用库存只有 {available} 件，不能调整到零以下"


class NoSuchSku(NotFound):
    """There is no such SKU."""

    zh = "商品规格不存在"


# A SKU gets its row with its first delivery; the default location comes back by itself if a database was emptied.
_RECEIVE = text(
    """
    WITH place AS (
        INSERT INTO location (id, name) SELECT :location, '默认仓' WHERE :location = 1 ON CONFLICT DO NOTHING
    ), wish AS MATERIALIZED (
        SELECT sku_id, quantity FROM unnest(:skus, :quantities) AS w(sku_id, quantity)
    ), moved AS (
        INSERT INTO stock AS s (sku_id, location_id, available, reserved, sold)
        SELECT sku_id, :location, quantity, 0, 0 FROM wish ORDER BY sku_id
        ON CONFLICT (sku_id, location_id) DO UPDATE SET available = s.available + excluded.available
        RETURNING s.sku_id
    )
    INSERT INTO stock_move (sku_id, location_id, delta_available, delta_reserved, delta_sold, reason, ref, actor, at)
    SELECT sku_id, :location, quantity, 0, 0, :reason, :ref, :actor, :at
    FROM moved JOIN wish USING (sku_id) ORDER BY sku_id
    """
).bindparams(*PARAMETERS)

_OPEN = text(
    """
    WITH place AS (
        INSERT INTO location (id, name) SELECT :location, '默认仓' WHERE :location = 1 ON CONFLICT DO NOTHING
    )
    INSERT INTO stock (sku_id, location_id, available, reserved, sold)
    SELECT id, :location, 0, 0, 0 FROM sku WHERE id = ANY(:skus) ORDER BY id
    ON CONFLICT DO NOTHING
    """
).bindparams(bindparam("location", type_=BigInteger), bindparam("skus", type_=ARRAY(BigInteger)))

_LEVEL = """
    SELECT sku_id, location_id, available, reserved, sold FROM stock
    WHERE sku_id = :sku AND location_id = :location
"""
_FIND = text(_LEVEL)
_LOCK = text(_LEVEL + " FOR NO KEY UPDATE")


async def reserve(
    session: AsyncSession,
    wants: Sequence[Want],
    *,
    ref: str,
    actor: str,
    at: datetime,
    location: int = DEFAULT_LOCATION,
) -> None:
    """Promise all of `wants` to `ref`, or nothing. Raises `OutOfStock` naming each short SKU and what is left of it."""
    short = await move(session, summed(wants), (-1, 1, 0), "reserve", ref=ref, actor=actor, at=at, location=location)
    if short:
        items = [{"skuId": str(row.sku_id), "wanted": row.quantity, "available": row.available} for row in short]
        raise OutOfStock(items=sorted(items, key=lambda item: int(item["skuId"])))


async def release(
    session: AsyncSession,
    wants: Sequence[Want],
    *,
    ref: str,
    actor: str,
    at: datetime,
    location: int = DEFAULT_LOCATION,
) -> None:
    """Give back what was reserved: the order was cancelled or ran out of time."""
    await move(session, summed(wants), (1, -1, 0), "release", ref=ref, actor=actor, at=at, location=location)


async def sell(
    session: AsyncSession,
    wants: Sequence[Want],
    *,
    ref: str,
    actor: str,
    at: datetime,
    location: int = DEFAULT_LOCATION,
) -> None:
    """What was reserved is sold: the order was paid."""
    await move(session, summed(wants), (0, -1, 1), "sell", ref=ref, actor=actor, at=at, location=location)


async def restock(
    session: AsyncSession,
    wants: Sequence[Want],
    *,
    ref: str,
    actor: str,
    at: datetime,
    location: int = DEFAULT_LOCATION,
) -> None:
    """What was sold can be sold again: refunded before it left, or come back whole."""
    await move(session, summed(wants), (1, 0, -1), "restock", ref=ref, actor=actor, at=at, location=location)


async def receive(
    session: AsyncSession,
    wants: Sequence[Want],
    *,
    ref: str,
    actor: str,
    at: datetime,
    reason: str = "receive",
    location: int = DEFAULT_LOCATION,
) -> None:
    """New pieces have come in. Makes the stock row with the first delivery."""
    quantities = summed(wants)
    given = {"skus": list(quantities), "quantities": list(quantities.values()), "location": location}
    await session.execute(_RECEIVE, given | {"reason": reason, "ref": ref, "actor": actor, "at": at})


async def open_rows(session: AsyncSession, sku_ids: Sequence[int], *, location: int = DEFAULT_LOCATION) -> None:
    """Give new SKUs their stock row, with nothing in it."""
    await session.execute(_OPEN, {"skus": list(sku_ids), "location": location})


async def adjust(
    session: AsyncSession,
    sku_id: int,
    delta: int,
    *,
    reason: str,
    ref: str = "",
    actor: str,
    at: datetime,
    location: int = DEFAULT_LOCATION,
) -> Level:
    """Correct what is available by `delta` pieces, in the operator's words. Raises `NoSuchSku`, `BelowZero`."""
    await open_rows(session, [sku_id], location=location)
    level = await get_level(session, sku_id, location=location, lock=True)
    if delta == 0:
        return level
    if level.available + delta < 0:
        raise BelowZero(sku_id=str(sku_id), available=level.available, delta=delta)
    await move(session, {sku_id: delta}, (1, 0, 0), reason, ref=ref, actor=actor, at=at, location=location)
    return msgspec.structs.replace(level, available=level.available + delta)


async def set_available(
    session: AsyncSession,
    sku_id: int,
    available: int,
    *,
    reason: str,
    ref: str = "",
    actor: str,
    at: datetime,
    location: int = DEFAULT_LOCATION,
) -> Level:
    """An operator has counted: so many are available now. The movement is the difference. Raises `NoSuchSku`."""
    await open_rows(session, [sku_id], location=location)
    before = await get_level(session, sku_id, location=location, lock=True)
    delta = available - before.available
    return await adjust(session, sku_id, delta, reason=reason, ref=ref, actor=actor, at=at, location=location)


async def get_level(
    session: AsyncSession, sku_id: int, *, location: int = DEFAULT_LOCATION, lock: bool = False
) -> Level:
    """What there is. Raises `NoSuchSku`."""
    statement = _LOCK if lock else _FIND
    row = (await session.execute(statement, {"sku": sku_id, "location": location})).one_or_none()
    if row is None:
        raise NoSuchSku(sku_id=str(sku_id))
    return Level(*row)
