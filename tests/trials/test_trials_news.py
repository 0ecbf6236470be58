"""WeChat's news many times at once, through two doors: each payment is received once, and every copy is answered."""

import asyncio
import random
from pathlib import Path

import pytest
from cast import Buyer, Shop
from doors import second_door
from trialing import Rounds
from world import Letter

pytestmark = [pytest.mark.usefixtures("quiet"), pytest.mark.trial("R4")]

AT_ONCE = 64


async def test_one_notification_fifty_times_at_once(shop: Shop, tmp_path: Path, rounds: Rounds) -> None:
    (sku,) = await shop.stocked(1000)
    buyer = await shop.buyer("news")
    async with second_door(shop, tmp_path) as second:
        for _ in range(rounds(3, 50)):
            no, letter = await _paid(shop, buyer, sku)
            answers = await asyncio.gather(*((shop, second)[n % 2].notify(letter) for n in range(50)))
            assert {answer.status_code for answer in answers} == {204}
            assert await _received(shop, [no]) == [(no, "paid", 1, 1, 1)]
    assert await shop.broken() == {}


async def test_every_order_twenty_times_in_any_order(
    shop: Shop, tmp_path: Path, rounds: Rounds, chance: random.Random
) -> None:
    orders = rounds(10, 1000)
    (sku,) = await shop.stocked(orders)
    nos: list[str] = []
    async with second_door(shop, tmp_path) as second:
        while len(nos) < orders:  # news is believed for five minutes: a hundred orders at a time
            paid = await _a_few_paid(shop, sku, min(orders - len(nos), 100))
            copies = [letter for _, letter in paid for _ in range(20)]
            chance.shuffle(copies)
            for start in range(0, len(copies), AT_ONCE):
                some = copies[start : start + AT_ONCE]
                doors = [chance.choice((shop, second)) for _ in some]
                answers = await asyncio.gather(*(door.notify(letter) for door, letter in zip(doors, some, strict=True)))
                assert {answer.status_code for answer in answers} == {204}
            nos += [no for no, _ in paid]
    nos.sort()
    assert await _received(shop, nos) == [(no, "paid", 1, 1, 1) for no in nos]
    assert await shop.stock(sku) == (0, 0, orders)
    assert await shop.broken() == {}


async def _a_few_paid(shop: Shop, sku: int, orders: int) -> list[tuple[str, Letter]]:
    """By as many buyers as it takes: a member may have so many that are not paid."""
    paid: list[tuple[str, Letter]] = []
    while len(paid) < orders:
        buyer = await shop.buyer("news")
        paid += [await _paid(shop, buyer, sku) for _ in range(5)]
    return paid


async def _paid(shop: Shop, buyer: Buyer, sku: int) -> tuple[str, Letter]:
    """An order that is paid on the phone, and the news of it, which has not come to the shop yet."""
    no = await buyer.order({sku: 1})
    shop.world.pay(await buyer.prepay(no))
    return no, shop.mailbox.take()


async def _received(shop: Shop, nos: list[str]) -> list[tuple[object, ...]]:
    """Of each order: its state, and how often it was paid in its log, among the payments and in the ledger."""
    rows = await shop.sql.fetch(
        """SELECT no, state,
            (SELECT count(*) FROM order_event e WHERE e.order_id = o.id AND e.what = 'paid'),
            (SELECT count(*) FROM payment p WHERE p.payable = o.no AND p.state = 'received'),
            (SELECT count(*) FROM posting t WHERE t.payable = o.no)
        FROM orders o WHERE no = ANY($1) ORDER BY no""",
        nos,
    )
    return [tuple(row) for row in rows]
