"""Stock under races: nobody buys what is not there, and every counter is the sum of its movements."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from catalog import offers, stock
from catalog.stock import Want
from kit.clock import ManualClock
from kit.database import Database, constraint_of

pytestmark = pytest.mark.anyio
Stocked = Callable[..., Awaitable[list[int]]]

UNBALANCED = """
    SELECT s.sku_id FROM stock s
    LEFT JOIN (SELECT sku_id, location_id, sum(delta_available) a, sum(delta_reserved) r, sum(delta_sold) t
               FROM stock_move GROUP BY 1, 2) m USING (sku_id, location_id)
    WHERE (s.available, s.reserved, s.sold) <> (coalesce(m.a, 0), coalesce(m.r, 0), coalesce(m.t, 0))
"""


async def levels(sql: Any, *skus: int) -> list[tuple[int, int, int]]:
    query = "SELECT available, reserved, sold FROM stock WHERE sku_id = $1"
    return [tuple(await sql.fetchrow(query, sku)) for sku in skus]


async def reserve(db: Database, clock: ManualClock, *wants: Want) -> str:
    try:
        async with db.begin() as session:
            await stock.reserve(session, wants, ref="o1", actor="member:1", at=clock.now())
    except stock.OutOfStock:
        return "short"
    return "reserved"


async def test_twenty_race_for_five(db: Database, sql: Any, clock: ManualClock, stocked: Stocked) -> None:
    (sku,) = await stocked(5)

    results = await asyncio.gather(*(reserve(db, clock, Want(sku, 1)) for _ in range(20)))

    assert sorted(results) == ["reserved"] * 5 + ["short"] * 15
    assert await levels(sql, sku) == [(0, 5, 0)]
    assert await sql.fetch(UNBALANCED) == []
    assert await sql.fetchval("SELECT count(*) FROM stock_move WHERE reason = 'reserve'") == 5


async def test_two_lines_one_short_reserve_nothing(
    db: Database, sql: Any, clock: ManualClock, stocked: Stocked
) -> None:
    plenty, few = await stocked(9, 2)

    wants = [Want(few, 3), Want(plenty, 1)]
    with pytest.raises(stock.OutOfStock) as refused:
        async with db.begin() as session:
            await stock.reserve(session, wants, ref="o1", actor="member:1", at=clock.now())

    assert refused.value.facts == {"items": [{"skuId": str(few), "wanted": 3, "available": 2}]}
    assert await levels(sql, plenty, few) == [(9, 0, 0), (2, 0, 0)]


async def test_two_lines_of_one_sku_count_together(
    db: Database, sql: Any, clock: ManualClock, stocked: Stocked
) -> None:
    (sku,) = await stocked(5)

    assert await reserve(db, clock, Want(sku, 3), Want(sku, 3)) == "short"
    assert await reserve(db, clock, Want(sku, 3), Want(sku, 2)) == "reserved"
    assert await levels(sql, sku) == [(0, 5, 0)]


async def test_an_unknown_sku_is_out_of_stock(db: Database, clock: ManualClock, stocked: Stocked) -> None:
    (sku,) = await stocked(5)

    with pytest.raises(stock.OutOfStock) as refused:
        async with db.begin() as session:
            await stock.reserve(session, [Want(sku + 99, 1)], ref="o1", actor="member:1", at=clock.now())
    assert refused.value.facts["items"] == [{"skuId": str(sku + 99), "wanted": 1, "available": 0}]


async def test_opposite_orders_do_not_deadlock(db: Database, sql: Any, clock: ManualClock, stocked: Stocked) -> None:
    a, b, c = await stocked(500, 500, 500)
    ways = [(a, b, c), (c, b, a), (b, c, a), (c, a, b)]

    async def shopper(n: int) -> None:
        wants = [Want(sku, 1) for sku in ways[n % 4]]
        async with db.begin() as session:
            await stock.reserve(session, wants, ref=f"o{n}", actor="member:1", at=clock.now())
        async with db.begin() as session:
            verb = stock.sell if n % 2 else stock.release
            await verb(session, wants, ref=f"o{n}", actor="worker", at=clock.now())

    await asyncio.gather(*(shopper(n) for n in range(60)))

    assert await levels(sql, a, b, c) == [(470, 0, 30)] * 3
    assert await sql.fetch(UNBALANCED) == []


async def test_a_piece_goes_all_the_way_and_back(db: Database, sql: Any, clock: ManualClock, stocked: Stocked) -> None:
    (sku,) = await stocked(5)
    told: dict[str, Any] = {"ref": "o1", "actor": "worker", "at": clock.now()}

    async with db.begin() as session:
        await stock.reserve(session, [Want(sku, 4)], **told)
        await stock.release(session, [Want(sku, 1)], **told)
        await stock.sell(session, [Want(sku, 3)], **told)
        await stock.restock(session, [Want(sku, 1)], **told)

    assert await levels(sql, sku) == [(3, 0, 2)]
    assert await sql.fetch(UNBALANCED) == []


@pytest.mark.parametrize("verb", [stock.release, stock.sell])
async def test_more_than_was_reserved_is_a_bug_and_refused(
    db: Database, sql: Any, clock: ManualClock, stocked: Stocked, verb: Any
) -> None:
    (sku,) = await stocked(5)

    with pytest.raises(DBAPIError) as refused:
        async with db.begin() as session:
            await verb(session, [Want(sku, 1)], ref="o1", actor="worker", at=clock.now())

    assert constraint_of(refused.value) == "ck_stock_reserved"
    assert await levels(sql, sku) == [(5, 0, 0)]


async def test_operators_count_while_orders_run(db: Database, sql: Any, clock: ManualClock, stocked: Stocked) -> None:
    (sku,) = await stocked(50)

    async def count(n: int) -> None:
        async with db.begin() as session:
            await stock.set_available(session, sku, 40 + n, reason="盘点", actor="staff:1", at=clock.now())

    shoppers = [reserve(db, clock, Want(sku, 1)) for _ in range(30)]
    await asyncio.gather(*shoppers, *(count(n) for n in range(5)))

    available, reserved, _ = (await levels(sql, sku))[0]
    assert available >= 0
    assert reserved == 30
    assert await sql.fetch(UNBALANCED) == []


@pytest.mark.parametrize(
    ("verb", "pieces", "ends_at"),
    [
        (stock.set_available, 7, (7, 3, 0)),  # what was counted is what is there
        (stock.adjust, -2, (0, 3, 0)),
        (stock.adjust, -3, (2, 3, 0)),  # refused: those three have just been promised
    ],
)
async def test_an_operator_waits_for_who_is_reserving(
    db: Database, sql: Any, clock: ManualClock, stocked: Stocked, verb: Any, pieces: int, ends_at: tuple[int, int, int]
) -> None:
    (sku,) = await stocked(5)

    async def correct() -> None:
        async with db.begin() as session:
            await verb(session, sku, pieces, reason="盘点", actor="staff:1", at=clock.now())

    async with sql.transaction():
        await sql.execute("SELECT FROM stock WHERE sku_id = $1 FOR NO KEY UPDATE", sku)
        correcting = asyncio.create_task(correct())
        async with asyncio.timeout(10):
            while not await sql.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
        await sql.execute("UPDATE stock SET available = available - 3, reserved = reserved + 3 WHERE sku_id = $1", sku)
    (refused,) = await asyncio.gather(correcting, return_exceptions=True)

    assert await levels(sql, sku) == [ends_at]
    assert isinstance(refused, stock.BelowZero) == (pieces == -3)


async def test_an_adjustment_below_zero_says_what_is_there(
    db: Database, sql: Any, clock: ManualClock, stocked: Stocked
) -> None:
    (sku,) = await stocked(2)

    with pytest.raises(stock.BelowZero) as refused:
        async with db.begin() as session:
            await stock.adjust(session, sku, -3, reason="破损", actor="staff:1", at=clock.now())

    assert refused.value.facts["available"] == 2
    async with db.begin() as session:
        level = await stock.adjust(session, sku, -2, reason="破损", actor="staff:1", at=clock.now())
    assert level.available == 0
    assert await sql.fetch(UNBALANCED) == []


async def test_movements_are_for_good(db: Database, sql: Any, stocked: Stocked) -> None:
    await stocked(2)

    for change in ("UPDATE stock_move SET delta_available = 9", "DELETE FROM stock_move"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await sql.execute(change)


async def test_an_offer_says_all_that_cart_and_checkout_need(db: Database, sql: Any, stocked: Stocked) -> None:
    first, second = await stocked(5, 0)
    await sql.execute("UPDATE sku SET enabled = false WHERE id = $1", second)

    async with db.begin() as session:
        found = await offers.quote(session, [second, first, second, 999])

    assert sorted(found) == [first, second]
    offer = found[first]
    assert (offer.title, offer.options, offer.image) == ("明前龙井", ["罐0"], "/media/a.svg")
    assert (offer.price_fen, offer.list_price_fen, offer.weight_g) == (100, None, 250)
    assert (offer.on_sale, offer.available) == (True, 5)
    assert (found[second].on_sale, found[second].available) == (False, 0)
