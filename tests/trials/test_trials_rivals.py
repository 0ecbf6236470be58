"""A payment against who closes its order: the order ends paid, or cancelled with the money back; never both, never neither.

The rival acts exactly before or after each step of the other: news in the middle of a closing, a closing in the middle of
the news. Who finds a row locked waits, as in life.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from cast import Buyer, Operator, Shop
from stepping import Act, Step, Watcher, meet, steps, watching
from trialing import Rounds

from catalog import stock
from payments import attempts, bulk, notices, settlement
from payments.inbox import Inbox
from payments.wechatpay.gateway import Gateway
from shop.app import ShopPayee
from shop.orders import closing

pytestmark = [pytest.mark.usefixtures("quiet"), pytest.mark.trial("R6")]

CLOSING = steps(
    (closing, "_intend"),
    (Gateway, "close"),
    (Gateway, "query"),
    (attempts, "take_over"),
    (attempts, "mark_closed"),
    (closing, "_finish"),
    (closing, "_cancel"),
    (stock, "release"),
)
"""Of an order that nobody has paid when its closing begins."""
CLOSING_PAID = steps(
    (closing, "_intend"), (Gateway, "close"), (Gateway, "query"), (attempts, "take_over"), (settlement, "settle"),
    (settlement, "take"), (ShopPayee, "paid"), (stock, "sell"), (closing, "_finish"),
)  # fmt: skip
"""Of one that was paid a moment before."""
NEWS = steps(
    (Inbox, "_store"),
    (Inbox, "_settle_plain"),
    (bulk, "settle"),
    (bulk, "_lock"),
    (ShopPayee, "paid_together"),
)
NEWS_ALONE = steps(
    (Inbox, "_store"),
    (notices, "take"),
    (notices, "handle"),
    (settlement, "settle"),
    (settlement, "take"),
    (ShopPayee, "paid"),
    (stock, "sell"),
)
"""Of news that is not settled together with others."""


class Pair:
    """One order, its buyer on the phone, and the hands that may close it."""

    def __init__(self, shop: Shop, buyer: Buyer, operator: Operator) -> None:
        self.shop, self.buyer, self.operator = shop, buyer, operator
        self.no = self.number = ""

    async def open(self, sku: int) -> None:
        self.no = await self.buyer.order({sku: 1})
        self.number = await self.buyer.prepay(self.no)

    def pay(self) -> None:
        """Confirmed on the phone in time; where the close was faster, its money lands after that."""
        self.shop.world.pay(self.number, raced=True)

    async def news(self) -> httpx.Response:
        return await self.shop.notify()

    async def pay_and_tell(self) -> httpx.Response:
        self.pay()
        return await self.news()

    async def cancelled_by_buyer(self) -> httpx.Response:
        return await self.buyer.post(f"/orders/{self.no}/cancel", {})

    async def closed_by_operator(self) -> httpx.Response:
        return await self.operator.post(f"/orders/{self.no}/close", {"reason": "缺货"})

    async def expired(self) -> None:
        await self.shop.worker.close_orders()

    def closer(self, who: str) -> Act:
        return {"buyer": self.cancelled_by_buyer, "operator": self.closed_by_operator, "expiry": self.expired}[who]


CLOSERS = ("buyer", "operator", "expiry")


@pytest.fixture
async def make(shop: Shop) -> Callable[[str], Awaitable[Pair]]:
    """A pair whose order may be closed by that hand now."""
    (sku,) = await shop.stocked(5000)
    buyer, operator = await shop.buyer("rival"), await shop.operator()

    async def made(closer: str) -> Pair:
        pair = Pair(shop, buyer, operator)
        await pair.open(sku)
        if closer == "expiry":
            shop.world.skip(minutes=31)
        if closer == "operator":
            await operator.begin_a_shift()
        return pair

    return made


@pytest.fixture
async def watcher(shop: Shop) -> AsyncIterator[Watcher]:
    async with watching(shop.database_url) as made:
        yield made


Make = Callable[[str], Awaitable[Pair]]


def _closers(rounds: Rounds, chance: random.Random, places: list[Step]) -> list[tuple[Step, str]]:
    """Every step: with one of the closers, or six times with each."""
    few = [(step, chance.choice(CLOSERS)) for step in places]
    many = [(step, closer) for step in places for closer in CLOSERS] * 6
    return few if rounds(len(few), len(many)) == len(few) else many


async def test_paid_in_the_middle_of_a_closing(
    shop: Shop, make: Make, watcher: Watcher, rounds: Rounds, chance: random.Random
) -> None:
    for step, closer in _closers(rounds, chance, CLOSING):
        pair = await make(closer)
        met = await meet(step, pair.closer(closer), pair.pay_and_tell, watcher)
        assert met is not None, f"{closer} never came to {step}"
        await _ends_well(shop, pair, closed=met[0], told=met[1], where=f"{closer}: {step}")


async def test_told_in_the_middle_of_a_closing(
    shop: Shop, make: Make, watcher: Watcher, rounds: Rounds, chance: random.Random
) -> None:
    for step, closer in _closers(rounds, chance, CLOSING_PAID):
        pair = await make(closer)
        pair.pay()
        met = await meet(step, pair.closer(closer), pair.news, watcher)
        assert met is not None, f"{closer} never came to {step}"
        await _ends_well(shop, pair, closed=met[0], told=met[1], where=f"{closer}: {step}")


@pytest.mark.parametrize("together", [True, False])
async def test_closed_in_the_middle_of_the_news(
    shop: Shop, make: Make, watcher: Watcher, rounds: Rounds, chance: random.Random, together: bool
) -> None:
    for step, closer in _closers(rounds, chance, NEWS if together else NEWS_ALONE):
        pair = await make(closer)
        pair.pay()
        with nullcontext() if together else patch.object(Inbox, "_paid", lambda *_: None):
            met = await meet(step, pair.news, pair.closer(closer), watcher)
        assert met is not None, f"the news never came to {step}"
        await _ends_well(shop, pair, closed=met[1], told=met[0], where=f"{closer}: {step}")


async def test_both_at_the_same_moment(shop: Shop, make: Make, rounds: Rounds, chance: random.Random) -> None:
    """Nobody arranges who is first."""
    for _ in range(rounds(10, 300)):
        closer = chance.choice(CLOSERS)
        pair = await make(closer)
        if chance.random() < 0.5:
            pair.pay()
            told = pair.news
        else:
            told = pair.pay_and_tell

        async def later(act: Act, wait_s: float) -> Any:
            await asyncio.sleep(wait_s)
            return await act()

        waits = chance.choice([(0.0, chance.uniform(0, 0.03)), (chance.uniform(0, 0.03), 0.0)])
        closed, answer = await asyncio.gather(later(pair.closer(closer), waits[0]), later(told, waits[1]))
        await _ends_well(shop, pair, closed=closed, told=answer, where=f"{closer}: {waits}")


async def _ends_well(shop: Shop, pair: Pair, *, closed: Any, told: httpx.Response, where: str) -> None:
    """What was answered is what is so; and when WeChat has had its say, the money is where the goods are."""
    assert told.status_code == 204, (where, told.text)
    state = await shop.sql.fetchval("SELECT state FROM orders WHERE no = $1", pair.no)
    if closed is not None:  # the expiry answers nobody
        assert (closed.status_code, state) in {(200, "cancelled"), (409, "paid")}, (where, closed.text)
    assert await shop.broken() == {}, where
    await _rest(shop)
    assert await _ending(shop, pair) in {("paid", 1, 0, 0), ("cancelled", 0, 1, 1)}, where
    back = [one["amount"]["refund"] for one in _refunds_at_wechat(shop, pair)]
    total = await shop.sql.fetchval("SELECT total_fen FROM orders WHERE no = $1", pair.no)
    assert back == ([] if state == "paid" else [total]), where
    assert await shop.broken() == {}, where


async def _rest(shop: Shop) -> None:
    await shop.run_jobs()
    if await shop.sql.fetchval("SELECT count(*) FROM refund WHERE state <> 'succeeded'"):
        shop.world.skip(seconds=5)
        assert (await shop.notify()).status_code == 204
    await shop.worker.close_orders()
    await shop.worker.ask_payments()


async def _ending(shop: Shop, pair: Pair) -> tuple[Any, ...]:
    """The order's state, payments applied, cases, refunds that succeeded."""
    row = await shop.sql.fetchrow(
        """SELECT state, (SELECT count(*) FROM payment WHERE payable = no AND applied),
            (SELECT count(*) FROM payment_exception e JOIN payment p ON p.id = e.payment_id
                WHERE p.payable = no AND e.kind = 'paid_after_close'),
            (SELECT count(*) FROM refund WHERE payable = no AND state = 'succeeded')
        FROM orders WHERE no = $1""",
        pair.no,
    )
    return tuple(row)


def _refunds_at_wechat(shop: Shop, pair: Pair) -> list[dict[str, Any]]:
    return [item for item in shop.world.refunds() if item["out_trade_no"] == pair.number]
