"""News in every order of arrival: whichever comes first, the end is the same."""

import itertools
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cast import Shop
from stepping import Step, held
from trialing import Rounds
from world import Letter

from payments import charges
from payments.wechatpay.gateway import Gateway

pytestmark = [pytest.mark.usefixtures("quiet"), pytest.mark.trial("R5")]

Events = dict[str, Callable[[], Awaitable[Any]]]
NOTIFY = "/wechat/pay/notify"


async def test_a_payment_and_a_refund_made_by_hand(shop: Shop, rounds: Rounds, chance: random.Random) -> None:
    """Prepay has not committed what WeChat answered, and WeChat has already been paid and given a part back."""
    (sku,) = await shop.stocked(5000)
    buyer = await shop.buyer("early")
    seen: dict[str, str] = {}
    for order in _arrivals(rounds(1, 25), ["prepay", "payment news", "refund news", "our question"], chance):
        no = await buyer.order({sku: 2})
        async with held(Step(charges, "opened", "before"), lambda no=no: buyer.post(f"/orders/{no}/prepay")) as prepay:
            letters = await _paid_and_given_back(shop, no)
            events: Events = {
                "prepay": prepay.let_go,
                "payment news": lambda letters=letters: _told(shop, letters[0]),
                "refund news": lambda letters=letters: _told(shop, letters[1]),
                "our question": lambda no=no: buyer.post(f"/orders/{no}/payment/refresh"),
            }
            for event in order:
                await events[event]()
        await _rest(shop, letters)
        seen[await _portrait(shop, no)] = " → ".join(order)
        assert len(seen) == 1, seen
    assert "paid" in next(iter(seen))


async def _paid_and_given_back(shop: Shop, no: str) -> list[Letter]:
    number = await shop.sql.fetchval("SELECT out_trade_no FROM payment WHERE payable = $1", no)
    shop.world.pay(number, raced=True)  # the sheet was open for a moment already
    payment = shop.mailbox.take()
    shop.world.tell("refunds", out_trade_no=number, amount_fen=700, notify_url=f"{shop.mailbox.url}{NOTIFY}")
    shop.world.skip(seconds=5)
    return [payment, shop.mailbox.take()]


async def test_a_refund_of_ours(shop: Shop, rounds: Rounds, chance: random.Random) -> None:
    """WeChat has the refund, and its answer is on its way: the news, a question and another worker may be faster."""
    (sku,) = await shop.stocked(5000)
    buyer, operator = await shop.buyer("back"), await shop.operator()
    seen: dict[str, str] = {}
    for order in _arrivals(rounds(1, 25), ["answer", "refund news", "our question", "another worker"], chance):
        no = await shop.paid_order(buyer, {sku: 2})
        number = await _promised(shop, operator, no)
        async with held(
            Step(Gateway, "refund", "after"), lambda number=number: shop.worker.submit_refund(number)
        ) as answer:
            shop.world.skip(seconds=5)
            letter = shop.mailbox.take()
            events: Events = {
                "answer": answer.let_go,
                "refund news": lambda letter=letter: _told(shop, letter),
                "our question": shop.worker.ask_refunds,
                "another worker": lambda number=number: shop.worker.submit_refund(number),
            }
            for event in order:
                await events[event]()
        await _rest(shop, [letter])
        seen[await _portrait(shop, no)] = " → ".join(order)
        assert len(seen) == 1, seen
    assert "succeeded" in next(iter(seen))


async def _promised(shop: Shop, operator: Any, no: str) -> str:
    answer = await operator.post(f"/orders/{no}/refunds", {"reason": "少发", "amountFen": 700})
    assert answer.status_code == 201, answer.text
    await shop.sql.execute("DELETE FROM pgqueuer")
    return str(await shop.sql.fetchval("SELECT out_refund_no FROM refund WHERE payable = $1", no))


def _arrivals(times: int, events: list[str], chance: random.Random) -> list[tuple[str, ...]]:
    """Every order of them, so often, shuffled."""
    orders = [*itertools.permutations(events)] * times
    chance.shuffle(orders)
    return orders


async def _told(shop: Shop, letter: Letter) -> None:
    answer = await shop.notify(letter)
    assert answer.status_code == 204, answer.text


async def _rest(shop: Shop, letters: list[Letter]) -> None:
    """Everything is told once more, and what was promised is done."""
    for letter in letters:
        await _told(shop, letter)
    await shop.run_jobs()
    await shop.worker.ask_payments()
    await shop.run_jobs()
    assert await shop.broken() == {}


async def _portrait(shop: Shop, no: str) -> str:
    """All that is true of an order and its money, without numbers and times."""
    told = {
        "order": "SELECT state, refunded_fen, freight_refunded_fen FROM orders WHERE no = $1",
        "log": """SELECT what, from_state, to_state FROM order_event e JOIN orders o ON o.id = e.order_id
            WHERE o.no = $1 ORDER BY e.id""",
        "attempts": "SELECT state, received_fen, applied, refunded_fen FROM payment WHERE payable = $1",
        "refunds": "SELECT state, origin, amount_fen, promises FROM refund WHERE payable = $1",
        "after-sales": """SELECT a.state, a.amount_fen FROM after_sale a JOIN orders o ON o.id = a.order_id WHERE o.no = $1""",
        "ledger": "SELECT debit, credit, amount_fen FROM posting WHERE payable = $1 ORDER BY debit, credit, amount_fen",
        "cases": """SELECT kind FROM payment_exception e WHERE resolved_at IS NULL AND EXISTS (
            SELECT FROM orders o LEFT JOIN payment p ON p.payable = o.no LEFT JOIN refund r ON r.payable = o.no
            WHERE o.no = $1 AND (e.payment_id = p.id OR e.reference IN (p.transaction_id, r.out_refund_no)))""",
    }
    return str({what: [tuple(row) for row in await shop.sql.fetch(query, no)] for what, query in told.items()})
