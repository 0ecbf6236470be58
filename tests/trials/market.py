"""A market by one dice: days of trade with everything going wrong, and the nights in which the worker makes up for it."""

import random
from contextlib import suppress
from datetime import timedelta
from typing import Any

from cast import Buyer, Operator, Shop

from payments.asking import WeChatPayUnknown
from payments.reconciliation import beijing
from payments.wechatpay.gateway import Refused, Unknown

PURCHASES = 25
"""A day."""
FAULTS = ["500", "500_after", "502_html", "429", "timeout_after", "bad_response_signature", "unsigned"]
PATHS = [
    "/v3/pay/transactions/jsapi",
    ".*/close",
    ".*/out-trade-no/.*",
    "/v3/refund/.*",
    "/v3/bill/.*",
    "/v3/billdownload/.*",
]
PASSING = {200, 201, 204, 409, 422, 429, 503}


class Market:
    """Buyers, staff, a worker, the post and bad luck, by one dice."""

    def __init__(self, shop: Shop, dice: random.Random) -> None:
        self.shop, self.dice = shop, dice
        self.buyers: list[Buyer] = []
        self.skus: list[int] = []

    async def open(self) -> None:
        self.skus = await self.shop.stocked(200, 200, 3, price_fen=1234)
        self.buyers = [await self.shop.buyer(name) for name in ("an", "bo", "cy")]
        self.operator: Operator = await self.shop.operator()

    async def trade(self) -> None:
        for _ in range(PURCHASES):
            await self._mishap()
            await self._purchase()
            if self.dice.random() < 0.3:
                await self.work()
        self.shop.world.tell("merchant/withdraw", fen=self.dice.randint(1, 9_999))

    async def _mishap(self) -> None:
        if self.dice.random() < 0.5:
            effect, path = self.dice.choice(FAULTS), self.dice.choice(PATHS)
            self.shop.world.faults(path=path, effect=effect, times=self.dice.randint(1, 3), seconds=0.05)

    async def _purchase(self) -> None:
        buyer = self.dice.choice(self.buyers)
        placed = await buyer.place({self.dice.choice(self.skus): self.dice.randint(1, 3)})
        if placed.status_code != 201:
            assert placed.status_code in PASSING, placed.text
            return
        no = str(placed.json()["no"])
        for _ in range(self.dice.randint(1, 2)):
            await self._tried(buyer.post(f"/orders/{no}/prepay"))
        if self.dice.random() < 0.2:
            await self._tried(buyer.post(f"/orders/{no}/cancel", {}))
            await self._pay(no, raced=self.dice.random() < 0.6)
        elif self.dice.random() < 0.8:
            await self._pay(no, raced=False)
        if self.dice.random() < 0.4:
            await self.post()
        if self.dice.random() < 0.4:
            await self._refund()

    async def _tried(self, asked: Any) -> None:
        answer = await asked
        assert answer.status_code in PASSING, answer.text

    async def _pay(self, no: str, *, raced: bool) -> None:
        statement = "SELECT out_trade_no FROM payment WHERE payable = $1 ORDER BY id DESC LIMIT 1"
        number = await self.shop.sql.fetchval(statement, no)
        if number:  # the phone may refuse
            self.shop.world.http.post(f"/_sandbox/payments/{number}/pay", json={"raced": raced})

    async def _refund(self) -> None:
        rows = await self.shop.sql.fetch(
            "SELECT o.no, l.id FROM orders o JOIN order_line l ON l.order_id = o.id WHERE o.paid_at IS NOT NULL"
        )
        if rows:
            row = self.dice.choice(rows)
            await self._tried(self.operator.refund(row["no"], {str(row["id"]): 1}))

    async def post(self) -> None:
        """Letters come in any order, some twice, some never."""
        letters = list(self.shop.mailbox.letters)
        self.shop.mailbox.clear()
        self.dice.shuffle(letters)
        for letter in letters:
            if self.dice.random() < 0.2:
                continue
            for _ in range(1 if self.dice.random() < 0.8 else 2):
                assert (await self.shop.notify(letter)).status_code == 204

    async def work(self) -> None:
        """A turn of the worker: what fails stays promised, as in the queue."""
        worker = self.shop.worker
        sweeps = [worker.close_orders, worker.ask_payments, worker.ask_refunds, worker.retry_notices, worker.reconcile]
        for sweep in sweeps:
            await sweep()
        for row in await self.shop.sql.fetch("SELECT id, entrypoint, payload FROM pgqueuer WHERE status = 'queued'"):
            with suppress(WeChatPayUnknown, Refused, Unknown):
                await worker.handlers()[row["entrypoint"]](row["payload"].decode())
                await self.shop.sql.execute("DELETE FROM pgqueuer WHERE id = $1", row["id"])

    async def night(self) -> None:
        """Until five past ten of the next Beijing morning, the worker awake all the time."""
        self.shop.world.heal()
        now = self.shop.world.clock.now().astimezone(beijing.BEIJING)
        morning = (now + timedelta(days=1)).replace(hour=10, minute=5)
        for _ in range(12):
            self.shop.world.skip(seconds=(morning - now).total_seconds() / 12)
            await self.work()
        for buyer in self.buyers:
            await buyer.sign_in()
        await self.operator.begin_a_shift()
