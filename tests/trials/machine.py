"""A shop's orders and their money, step by step: what its buyer, WeChat, its staff and time may do to them."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, ClassVar

import httpx
from cast import Buyer, Shop
from hypothesis import strategies as st
from world import Letter

from kit.database import Table
from kit.errors import Conflict, Unprocessable
from payments import refunds
from payments.asking import WeChatPayUnknown
from payments.wechatpay.gateway import Refused, Unknown
from shop import schema
from shop.aftersales import refunding
from shop.aftersales.claims import Claim
from shop.orders import parcels

WHICH = st.integers(0, 2)
PASSING = {409, 422, 429, 503}
EFFECTS = ["500", "500_after", "502_html", "429", "bad_response_signature", "unsigned"]


class Machine:
    """One buyer, up to three orders, and whatever happens to them: `do_x` for each step `("x", …)`."""

    of_an_order: ClassVar = {
        "prepay", "pay", "race", "cancel", "ship", "confirm", "ask", "refund", "money", "portal"
    }  # fmt: skip
    """Steps whose first value says which of the orders."""

    def __init__(self, shop: Shop, buyer: Buyer, sku: int) -> None:
        self.shop, self.buyer, self.sku = shop, buyer, sku
        self.orders: list[str] = []
        self.delivered: list[Letter] = []
        self.lost: list[Letter] = []
        self.by_hand: list[str] = []

    async def live(self, steps: Sequence[tuple[Any, ...]]) -> None:
        """All of them; then the world comes to rest, and WeChat and we agree about the money."""
        before = await money_of(self.shop)
        try:
            for step in steps:
                await self.step(*step)
            await self.rest()
            after = await money_of(self.shop)
            assert after[0] - before[0] == after[1] - before[1], "WeChat and we disagree about the money"
        except Exception as error:
            error.add_note(f"steps: {steps!r}")
            raise

    async def step(self, what: str, *given_values: Any) -> None:
        if what in self.of_an_order:
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
        fine(await self.buyer.post(f"/orders/{no}/prepay"))

    async def do_pay(self, no: str, *, raced: bool = False) -> None:
        number = await self.shop.sql.fetchval(
            "SELECT out_trade_no FROM payment WHERE payable = $1 ORDER BY id DESC LIMIT 1", no
        )
        if number:  # the phone may refuse: closed, paid, never opened
            self.shop.world.http.post(f"/_sandbox/payments/{number}/pay", json={"raced": raced})

    async def do_race(self, no: str) -> None:
        await self.do_pay(no, raced=True)

    async def do_cancel(self, no: str) -> None:
        fine(await self.buyer.post(f"/orders/{no}/cancel", {}))

    async def do_ask(self, no: str) -> None:
        fine(await self.buyer.post(f"/orders/{no}/payment/refresh"))

    async def do_confirm(self, no: str) -> None:
        fine(await self.buyer.post(f"/orders/{no}/confirm"))

    async def do_ship(self, no: str) -> None:
        at = self.shop.world.clock.now()
        await self._staff(lambda s: parcels.ship(s, no, carrier="SF", tracking_no="SF1", by="staff:1", at=at))

    async def do_refund(self, no: str, pieces: int, restock: bool | None = None) -> None:
        statement = "SELECT l.id FROM order_line l JOIN orders o ON o.id = l.order_id WHERE o.no = $1"
        claims = [Claim(await self.shop.sql.fetchval(statement, no), pieces)]
        given_back = {"freight_fen": 0, "reason": "少发", "restock": restock, "by": "staff:1"}
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
                await self._staff(
                    lambda s, number=number: refunds.reject(s, self.shop.worker.payee, number, reason="x", **told)
                )

    async def _staff(self, act: Any) -> None:
        with suppress(Conflict, Unprocessable):
            async with self.shop.db.begin() as session:
                await act(session)

    async def do_deliver(self, which: int) -> None:
        """One of those that are on their way, not always the oldest."""
        letters = self.shop.mailbox.letters
        if letters:
            letter = letters.pop(which % len(letters))
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
        for sweep in (
            worker.close_orders,
            worker.ask_payments,
            worker.ask_refunds,
            worker.retry_notices,
            worker.receive_orders,
        ):
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
        broken = await self.shop.broken()
        assert not broken, broken

    async def _all_mail(self) -> None:
        """What was never answered WeChat repeats until it is."""
        await asyncio.sleep(0.05)  # what was just written is on its way
        letters, self.lost = [*self.lost, *self.shop.mailbox.letters], []
        self.shop.mailbox.clear()
        for letter in letters:
            assert (await self.shop.notify(letter)).status_code == 204


def fine(answer: httpx.Response) -> None:
    assert answer.is_success or answer.status_code in PASSING, answer.text


async def money_of(shop: Shop) -> tuple[int, int]:
    """What WeChat holds for us, and what we say it holds."""
    totals = shop.world.http.get("/_sandbox/totals").json()
    ours = await shop.sql.fetchval(
        """SELECT (SELECT coalesce(sum(received_fen), 0) FROM payment WHERE state = 'received')
        - (SELECT coalesce(sum(amount_fen), 0) FROM refund WHERE state = 'succeeded')"""
    )
    return totals["paid_fen"] - totals["refunded_fen"], int(ours)


async def emptied(shop: Shop) -> None:
    """Nothing is left of what was tried before: looking at everything after each step stays cheap."""
    schema.load_models()
    tables = ", ".join(f'"{name}"' for name in Table.metadata.tables if name != "location")
    await shop.sql.execute(f"TRUNCATE {tables}, pgqueuer, pgqueuer_log RESTART IDENTITY CASCADE")
    shop.mailbox.clear()
