"""A payment code that is given up: asked about, reversed, and never both kept and undone."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from cast import Operator, Shop
from liar import Liar, unpaid_trade
from payment_codes import state_of, waiting
from sheets import at_wechat, attempts

from payments import asking, counter
from payments import attempts as attempts_of
from payments.attempts import WeChatPayUnknown
from payments.trades import Trade
from payments.wechatpay.gateway import Gateway, Unknown

pytestmark = pytest.mark.usefixtures("ordinary")


async def test_the_time_is_over(shop: Shop) -> None:
    """It is asked about every few seconds, and reversed in the end; the order may be paid in another way."""
    buyer, boss, no, number = await waiting(shop)
    for _ in range(6):
        shop.world.skip(seconds=5.5)
        await shop.worker.ask_payments()
        assert await state_of(boss, no) == ("userpaying", None)
    shop.world.skip(seconds=15)
    await shop.worker.ask_payments()
    assert await state_of(boss, no) == ("closed", "REVOKED")
    assert await at_wechat(shop, number) == "REVOKED"
    shop.world.pay(await buyer.prepay(no))
    assert (await shop.notify()).status_code == 204
    assert await buyer.state(no) == "paid"


async def test_the_cashier_gives_up(shop: Shop) -> None:
    _, boss, no, number = await waiting(shop)
    answer = await boss.post(f"/orders/{no}/charge-code/cancel")
    assert answer.json()["state"] == "reversing", answer.text
    await shop.worker.ask_payments()
    assert await at_wechat(shop, number) == "USERPAYING"  # not within 15 s
    shop.world.skip(seconds=16)
    await shop.worker.ask_payments()
    assert await state_of(boss, no) == ("closed", "REVOKED")


async def test_given_up_and_paid_before_the_reverse(shop: Shop) -> None:
    """A query first: what is paid is kept."""
    buyer, boss, no, number = await waiting(shop)
    await boss.post(f"/orders/{no}/charge-code/cancel")
    shop.world.pay(number)
    shop.world.skip(seconds=16)
    await shop.worker.ask_payments()
    assert await state_of(boss, no) == ("paid", None)
    assert await at_wechat(shop, number) == "SUCCESS"
    assert await buyer.state(no) == "paid"


async def _reversing(shop: Shop) -> tuple[Any, Operator, str, str]:
    """The intent to reverse is committed, the call was lost on its way; and then the payer typed the password."""
    buyer, boss, no, number = await waiting(shop)
    shop.world.skip(seconds=46)
    shop.world.faults(path=f"/v3/pay/transactions/out-trade-no/{number}/reverse", effect="500", method="POST")
    await shop.worker.ask_payments()
    assert await state_of(boss, no) == ("reversing", None)
    shop.world.pay(number)
    return buyer, boss, no, number


async def test_paid_after_the_intent_to_reverse(shop: Shop) -> None:
    """Nobody settles it any more, it goes back whatever WeChat says in between, and the goods are not owed."""
    buyer, boss, no, number = await _reversing(shop)
    assert (await buyer.post(f"/orders/{no}/payment/refresh")).status_code in (200, 503)
    assert await buyer.state(no) == "unpaid"
    for _ in range(8):
        shop.world.skip(seconds=35)
        await shop.worker.ask_payments()
    assert await state_of(boss, no) == ("closed", "REVOKED")
    assert await at_wechat(shop, number) == "REVOKED"
    assert await buyer.state(no) == "unpaid"


async def test_paid_and_wechat_will_not_reverse(shop: Shop) -> None:
    """Not enough money to give back: then it is a payment like any other."""
    buyer, boss, no, number = await _reversing(shop)
    shop.world.tell("settings", balance_fen=0)
    shop.world.skip(seconds=35)
    await shop.worker.ask_payments()
    assert await state_of(boss, no) == ("paid", None)
    assert await at_wechat(shop, number) == "SUCCESS"
    assert await buyer.state(no) == "paid"


async def test_paid_refunded_in_part_by_hand_and_wechat_will_not_reverse(shop: Shop) -> None:
    """Not all of it went back: it is a payment like any other, and so is the refund."""
    buyer, boss, no, number = await _reversing(shop)
    total = await shop.sql.fetchval("SELECT amount_fen FROM payment WHERE out_trade_no = $1", number)
    amount = {"refund": 100, "total": total, "currency": "CNY"}
    gateway = shop.worker.gateway
    by_hand = {"out_trade_no": number, "out_refund_no": "503003", "notify_url": gateway.notify_url, "amount": amount}
    await gateway.connection.call("POST", "/v3/refund/domestic/refunds", by_hand)
    shop.world.skip(seconds=35)
    await shop.worker.ask_payments()
    assert await state_of(boss, no) == ("paid", None)
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    await shop.run_jobs()
    assert (await buyer.get(f"/orders/{no}")).json()["refundedFen"] == 100
    assert await shop.broken() == {}


class _Slow:
    """A worker whose second question (after the reverse) takes so long that others act meanwhile."""

    def __init__(self, gateway: Gateway, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._gateway, self._meanwhile, self._questions = gateway, meanwhile, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway, name)

    async def query(self, number: str) -> Trade | None:
        trade = await self._gateway.query(number)
        self._questions += 1
        if self._questions == 2:
            await self._meanwhile()
        return trade


async def test_two_hands_one_is_refused_and_slow_the_other_gives_the_money_back(shop: Shop) -> None:
    """What WeChat said before the other's reverse counts no more: the goods are not owed for money that went back."""
    buyer, boss, no, number = await _reversing(shop)
    gateway, db, payee, clock = shop.worker.gateway, shop.db, shop.worker.payee, shop.world.clock
    payment = await attempts_of.look(db, number)
    assert payment is not None

    async def dies() -> None:
        raise Unknown("the other one dies right after its reverse")

    async def other() -> None:
        shop.world.tell("settings", balance_fen=None)
        shop.world.skip(seconds=35)
        with pytest.raises(WeChatPayUnknown):
            await counter.pursue(db, cast("Gateway", _Slow(gateway, dies)), payee, clock, payment)

    shop.world.tell("settings", balance_fen=0)
    shop.world.skip(seconds=35)
    with pytest.raises(WeChatPayUnknown):
        await counter.pursue(db, cast("Gateway", _Slow(gateway, other)), payee, clock, payment)
    assert await at_wechat(shop, number) == "REVOKED"
    assert await buyer.state(no) == "unpaid"
    shop.world.skip(seconds=60)
    await shop.worker.ask_payments()
    assert await state_of(boss, no) == ("closed", "REVOKED")


async def test_closed_here_and_paid_at_wechat_after_all_is_taken_when_it_is_asked_for(shop: Shop) -> None:
    """WeChat did not know the number when it was given up; a bill has it the next day."""
    buyer, _, no, number = await _reversing(shop)
    await shop.sql.execute("UPDATE payment SET state = 'closed', closed_at = now() WHERE out_trade_no = $1", number)
    worker = shop.worker
    assert await asking.ask(shop.db, worker.gateway, worker.payee, shop.world.clock, number) == "closed", "too soon"
    shop.world.skip(seconds=60)
    came_of_it = await asking.ask(shop.db, worker.gateway, worker.payee, shop.world.clock, number)
    assert (came_of_it, await buyer.state(no)) == ("applied", "paid")
    assert await asking.ask(shop.db, worker.gateway, worker.payee, shop.world.clock, number) == "received"
    assert await shop.broken() == {}


async def test_closed_here_and_paid_at_wechat_after_all_is_asked_for_when_a_notification_says_so(
    shop: Shop, liar: Liar
) -> None:
    buyer, _, no, number = await _reversing(shop)
    await shop.sql.execute("UPDATE payment SET state = 'closed', closed_at = now() WHERE out_trade_no = $1", number)
    shop.world.skip(seconds=60)
    _, trade = await unpaid_trade(shop, liar)
    trade |= {"out_trade_no": number, "trade_type": "MICROPAY"}
    assert (await liar.send(liar.envelope(trade))).status_code == 204
    assert await buyer.state(no) == "unpaid"
    await shop.run_jobs()
    assert await buyer.state(no) == "paid"


async def test_what_was_reversed_is_asked_for_when_a_notification_says_paid(shop: Shop, liar: Liar) -> None:
    """It may have been written before the reverse: only WeChat knows whether the money is here or went back."""
    buyer, _, no, number = await _reversing(shop)
    shop.world.skip(seconds=35)
    await shop.worker.ask_payments()
    _, trade = await unpaid_trade(shop, liar)
    trade |= {"out_trade_no": number, "trade_type": "MICROPAY"}
    assert (await liar.send(liar.envelope(trade))).status_code == 204
    await shop.run_jobs()
    assert await buyer.state(no) == "unpaid"
    assert await attempts(shop, no) == [("code", "closed")]
    assert await shop.broken() == {}


async def test_a_reverse_that_comes_to_no_end_is_a_case_until_it_does(shop: Shop) -> None:
    _, boss, no, number = await _reversing(shop)
    path = f"/v3/pay/transactions/out-trade-no/{number}/reverse"
    shop.world.faults(path=path, effect="500", method="POST", times=100)
    query = "SELECT kind, resolved_at IS NULL FROM payment_exception WHERE reference = $1"
    for _ in range(8):
        shop.world.skip(seconds=35)
        await shop.worker.ask_payments()
    assert await shop.sql.fetch(query, number) == [], "five minutes are nothing"
    for _ in range(3):
        shop.world.skip(minutes=31)
        await shop.worker.ask_payments()
    assert [tuple(row) for row in await shop.sql.fetch(query, number)] == [("reverse_stuck", True)]
    shop.world.heal()
    shop.world.skip(minutes=31)
    await shop.worker.ask_payments()
    assert await state_of(boss, no) == ("closed", "REVOKED")
    assert [tuple(row) for row in await shop.sql.fetch(query, number)] == [("reverse_stuck", False)]


async def test_the_answer_to_the_reverse_is_lost(shop: Shop) -> None:
    _, boss, no, number = await waiting(shop)
    shop.world.skip(seconds=46)
    shop.world.faults(path=f"/v3/pay/transactions/out-trade-no/{number}/reverse", effect="500_after", method="POST")
    await shop.worker.ask_payments()
    shop.world.skip(seconds=6)
    await shop.worker.ask_payments()
    assert await state_of(boss, no) == ("closed", "REVOKED")


async def test_the_order_is_cancelled_meanwhile(shop: Shop) -> None:
    """Not within 15 s: it stays closing until the reverse is through."""
    buyer, _, no, number = await waiting(shop)
    assert (await buyer.post(f"/orders/{no}/cancel", {})).status_code == 503
    assert await buyer.state(no) == "closing"
    shop.world.skip(seconds=25)
    await shop.worker.close_orders()
    assert await buyer.state(no) == "cancelled"
    assert await at_wechat(shop, number) == "REVOKED"
