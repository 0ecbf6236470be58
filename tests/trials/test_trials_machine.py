"""Any sequence of what buyers, WeChat, staff and time may do: after every step the books balance, in the end all is settled."""

import asyncio
from contextlib import suppress
from typing import Any

import httpx
import pytest
from cast import Buyer, Letter, Shop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.errors import Conflict, Unprocessable
from payments import policy, refunds
from payments.asking import WeChatPayUnknown
from payments.policy import Policy
from payments.wechatpay.gateway import Refused, Unknown
from shop.aftersales import refunding
from shop.aftersales.claims import Claim
from shop.orders import parcels

pytestmark = pytest.mark.usefixtures("quiet")

WHICH = st.integers(0, 2)
FAULTY = st.tuples(
    st.sampled_from(
        [("POST", ".*/jsapi"), ("POST", ".*/close"), ("GET", ".*/out-trade-no/.*"), ("POST", ".*/refunds")]
    ),
    st.sampled_from(["500", "500_after", "502_html", "429", "bad_response_signature", "unsigned"]),
)
STEP = st.one_of(
    st.tuples(st.just("place"), st.integers(1, 3)),
    st.tuples(st.sampled_from(["prepay", "pay", "cancel", "ship", "confirm", "ask", "race"]), WHICH),
    st.tuples(st.just("refund"), WHICH, st.integers(1, 3)),
    st.tuples(st.sampled_from(["money", "portal"]), WHICH, st.integers(1, 1500)),
    st.tuples(st.just("decide"), st.booleans()),
    st.tuples(st.sampled_from(["deliver", "double", "drop"]), st.just(0)),
    st.tuples(st.just("skip"), st.sampled_from([10, 70, 1900])),
    st.tuples(st.sampled_from(["sweep", "work"]), st.just(0)),
    st.tuples(st.just("fault"), FAULTY),
)
OPENING: list[tuple[Any, ...]] = [("place", 2), ("prepay", 0), ("pay", 0)]
PASSING = {409, 422, 429, 503}


class Machine:
    """One buyer, up to three orders, and whatever happens to them."""

    def __init__(self, shop: Shop, buyer: Buyer, sku: int) -> None:
        self.shop, self.buyer, self.sku = shop, buyer, sku
        self.orders: list[str] = []
        self.delivered: list[Letter] = []
        self.lost: list[Letter] = []
        self.by_hand: list[str] = []

    async def step(self, what: str, *given_values: Any) -> None:
        if what in {"prepay", "pay", "race", "cancel", "ship", "confirm", "ask", "refund", "money", "portal"}:
            if not self.orders:
                return
            given_values = (self.orders[given_values[0] % len(self.orders)], *given_values[1:])
        await getattr(self, f"do_{what}")(*given_values)
        broken = await self.shop.broken()
        assert not broken, (what, broken)

    async def do_place(self, quantity: int) -> None:
        if len(self.orders) < 3:
            answer = await self.buyer.place({self.sku: quantity})
            assert answer.status_code == 201, answer.text
            self.orders.append(answer.json()["no"])

    async def do_prepay(self, no: str) -> None:
        _fine(await self.buyer.post(f"/orders/{no}/prepay"))

    async def do_pay(self, no: str, *, raced: bool = False) -> None:
        number = await self.shop.sql.fetchval(
            "SELECT out_trade_no FROM payment WHERE payable = $1 ORDER BY id DESC LIMIT 1", no
        )
        if number:  # the phone may refuse: closed, paid, never opened
            self.shop.world.http.post(f"/_sandbox/payments/{number}/pay", json={"raced": raced})

    async def do_race(self, no: str) -> None:
        await self.do_pay(no, raced=True)

    async def do_cancel(self, no: str) -> None:
        _fine(await self.buyer.post(f"/orders/{no}/cancel", {}))

    async def do_ask(self, no: str) -> None:
        _fine(await self.buyer.post(f"/orders/{no}/payment/refresh"))

    async def do_confirm(self, no: str) -> None:
        _fine(await self.buyer.post(f"/orders/{no}/confirm"))

    async def do_ship(self, no: str) -> None:
        at = self.shop.world.clock.now()
        await self._staff(lambda s: parcels.ship(s, no, carrier="SF", tracking_no="SF1", by="staff:1", at=at))

    async def do_refund(self, no: str, pieces: int) -> None:
        statement = "SELECT l.id FROM order_line l JOIN orders o ON o.id = l.order_id WHERE o.no = $1"
        claims = [Claim(await self.shop.sql.fetchval(statement, no), pieces)]
        given_back = {"freight_fen": 0, "reason": "少发", "restock": None, "by": "staff:1"}
        at = self.shop.world.clock.now()
        await self._staff(lambda s: refunding.request(s, no, claims, at=at, **given_back))

    async def do_money(self, no: str, amount_fen: int) -> None:
        """A plain amount; above the limit it waits."""
        wish = {"freight_fen": 0, "amount_fen": amount_fen, "reason": "补偿", "restock": None, "by": "staff:1"}
        at = self.shop.world.clock.now()
        await self._staff(lambda s: refunding.request(s, no, [], at=at, **wish))

    async def do_portal(self, no: str, amount_fen: int) -> None:
        """Somebody refunds in the merchant portal, without us."""
        paid = await self.shop.sql.fetchrow("SELECT out_trade_no, amount_fen FROM payment WHERE payable = $1", no)
        if paid is None:
            return
        number = f"503{len(self.by_hand)}{paid['out_trade_no']}"
        with suppress(Refused, Unknown):
            self.by_hand.append(number)
            await self.shop.worker.gateway.refund(
                out_refund_no=number,
                out_trade_no=paid["out_trade_no"],
                amount_fen=amount_fen,
                total_fen=paid["amount_fen"],
                reason="x",
            )

    async def do_decide(self, approved: bool) -> None:
        """The second person looks at what waits."""
        waiting = await self.shop.sql.fetch("SELECT out_refund_no FROM refund WHERE state = 'waiting'")
        told = {"by": "staff:2", "at": self.shop.world.clock.now()}
        for number in [row["out_refund_no"] for row in waiting]:
            if approved:
                await self._staff(lambda s, number=number: refunds.approve(s, number, **told))
            else:
                await self._staff(lambda s, number=number: refunds.reject(s, self.shop.worker.payee, number, **told))

    async def _staff(self, act: Any) -> None:
        with suppress(Conflict, Unprocessable):
            async with self.shop.db.begin() as session:
                await act(session)

    async def do_deliver(self, _: int) -> None:
        letters = self.shop.mailbox.letters
        if letters:
            letter = letters.pop(0)
            assert (await self.shop.notify(letter)).status_code == 204
            self.delivered.append(letter)

    async def do_double(self, _: int) -> None:
        if self.delivered:
            assert (await self.shop.notify(self.delivered[0])).status_code == 204

    async def do_drop(self, _: int) -> None:
        """Lost on its way. What is not answered WeChat repeats for a day: it comes in the end."""
        self.lost += self.shop.mailbox.letters
        self.shop.mailbox.clear()

    async def do_skip(self, seconds: int) -> None:
        self.shop.world.skip(seconds=seconds)

    async def do_fault(self, fault: tuple[tuple[str, str], str]) -> None:
        (method, path), effect = fault
        self.shop.world.faults(method=method, path=path, times=1, effect=effect)

    async def do_sweep(self, _: int = 0) -> None:
        worker = self.shop.worker
        for sweep in (worker.close_orders, worker.ask_payments, worker.ask_refunds, worker.retry_notices):
            await sweep()

    async def do_work(self, _: int = 0) -> None:
        """Jobs, each once; what fails stays promised, as in the queue."""
        rows = await self.shop.sql.fetch("SELECT id, entrypoint, payload FROM pgqueuer WHERE status = 'queued'")
        for row in rows:
            with suppress(WeChatPayUnknown, Refused, Unknown):
                await self.shop.worker.handlers()[row["entrypoint"]](row["payload"].decode())
                await self.shop.sql.execute("DELETE FROM pgqueuer WHERE id = $1", row["id"])

    async def rest(self) -> None:
        """The world heals and time passes: every order is paid or cancelled, every promised refund ended."""
        self.shop.world.heal()
        await self._all_mail()
        await self.do_decide(approved=True)
        for seconds in (1900, *[700] * (12 if self.by_hand else 5)):  # refunds that collide are refused seven times
            self.shop.world.skip(seconds=seconds)
            for number in self.by_hand:  # its news may be lost: then the bill names it, or a person
                await self.shop.worker.follow_refund(number)
            await self.do_sweep()
            await self.do_work()
            await self._all_mail()
        states = {row["no"]: row["state"] for row in await self.shop.sql.fetch("SELECT no, state FROM orders")}
        assert not {"unpaid", "closing"} & {states[no] for no in self.orders}
        under_way = "SELECT count(*) FROM refund WHERE state NOT IN ('succeeded', 'closed', 'refused', 'rejected')"
        assert await self.shop.sql.fetchval(under_way) == 0
        assert await self.shop.broken() == {}

    async def _all_mail(self) -> None:
        """What was never answered WeChat repeats until it is."""
        await asyncio.sleep(0.05)  # what was just written is on its way
        letters, self.lost = [*self.lost, *self.shop.mailbox.letters], []
        self.shop.mailbox.clear()
        for letter in letters:
            assert (await self.shop.notify(letter)).status_code == 204


def _fine(answer: httpx.Response) -> None:
    assert answer.is_success or answer.status_code in PASSING, answer.text


@pytest.fixture
async def stage(shop: Shop) -> tuple[Shop, int]:
    (sku,) = await shop.stocked(5000)
    async with shop.db.begin() as session:
        await policy.replace(session, Policy(refund_approval_above_fen=1200), by="staff:1", at=shop.world.clock.now())
    return shop, sku


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEP, min_size=4, max_size=22), opened=st.integers(0, 3))
async def test_whatever_happens_the_books_balance(
    stage: tuple[Shop, int], steps: list[tuple[Any, ...]], opened: int
) -> None:
    shop, sku = stage
    shop.world.heal()
    shop.mailbox.clear()
    before = await _money(shop)
    machine = Machine(shop, await shop.buyer("machine"), sku)
    for step in [*OPENING[:opened], *steps]:
        await machine.step(*step)
    await machine.rest()
    after = await _money(shop)
    assert after[0] - before[0] == after[1] - before[1], "WeChat and we disagree about the money"


async def _money(shop: Shop) -> tuple[int, int]:
    """What WeChat holds for us, and what we say it holds."""
    totals = shop.world.http.get("/_sandbox/totals").json()
    ours = await shop.sql.fetchval(
        """SELECT (SELECT coalesce(sum(received_fen), 0) FROM payment WHERE state = 'received')
        - (SELECT coalesce(sum(amount_fen), 0) FROM refund WHERE state = 'succeeded')"""
    )
    return totals["paid_fen"] - totals["refunded_fen"], int(ours)
