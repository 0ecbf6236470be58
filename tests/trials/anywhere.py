"""The process dies between any two statements of a deed; started again, the books balance.

A door before Postgres counts the round trips. The deed is done alive once, which says how many there are. Then it dies before
its first statement reaches Postgres, before its second …, and after each COMMIT that it never heard of. After each death whoever
would come again does: WeChat repeats its notification, the client its request under the same key, the worker its sweeps
and jobs.
"""

import random
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any

from cast import Buyer, Operator, Shop
from counting import CountingDoor
from mortal import Deed, Mortal
from till import until_so
from trialing import Rounds
from world import Letter

_SAMPLE = 6
Prepare = Callable[[], Awaitable[tuple[str, Deed]]]
Ended = Callable[[str], Awaitable[None]]


class Deaths:
    """All moments of a deed at the large scale, a few drawn by the seed at the quick one."""

    def __init__(
        self, shop: Shop, mortal: Mortal, door: CountingDoor, root: Any, rounds: Rounds, chance: random.Random
    ) -> None:
        self.shop, self.mortal, self.door, self.root = shop, mortal, door, root
        self.rounds, self.chance = rounds, chance

    async def everywhere(self, prepare: Prepare, ended: Ended) -> int:
        """`prepare` makes a fresh case and says what is to be done to it; `ended` asserts how it must end.

        Returns how many moments there are to die at.
        """
        assert not await self._one(prepare, ended, 0, "before"), "nobody wished it dead"
        moments = [("before", nth + 1) for nth in range(self.door.statements)]
        moments += [("after", nth + 1) for nth in range(self.door.commits)]
        count = self.rounds(min(_SAMPLE, len(moments)), len(moments))
        for when, nth in sorted(self.chance.sample(moments, count)):
            assert await self._one(prepare, ended, nth, when), f"it got through alive {when} {nth} of {moments[-1]}"
        return len(moments)

    async def _one(self, prepare: Prepare, ended: Ended, nth: int, when: str) -> bool:
        no, deed = await prepare()
        struck = self.mortal.dies_at(self.door, deed, nth, when)
        # What the dead had locked is skipped by every sweep until Postgres has seen that it is dead.
        await until_so("Postgres has let go of the dead", self._let_go)
        await self._repeat(deed)
        await ended(no)
        broken = await self.shop.broken()
        assert not broken, (when, nth, broken)
        await self._same_money()
        self.shop.mailbox.clear()
        return struck

    async def _let_go(self) -> bool:
        statement = "SELECT count(*) FROM pg_stat_activity WHERE client_port = ANY($1)"
        return bool(await self.root.fetchval(statement, self.door.ports) == 0)

    async def _repeat(self, deed: Deed) -> None:
        """Whoever asked comes again, and so does the worker; then nothing is under way any more."""
        self.shop.world.skip(seconds=31)  # a key left by the dead is free again
        if "path" in deed:
            content = b64decode(deed["body"]) if deed.get("body") else None
            answer = await self.shop.http.post(deed["path"], headers=deed["headers"], content=content)
            assert answer.status_code in deed["fine"], answer.text
        await rest(self.shop)

    async def _same_money(self) -> None:
        """Every order of this test, by WeChat's word and by ours."""
        shop = self.shop
        rows = await shop.sql.fetch("SELECT out_trade_no, state, coalesce(received_fen, 0) AS fen FROM payment")
        theirs = {item["out_trade_no"]: item for item in shop.world.payments()}
        for row in rows:
            said = theirs.get(row["out_trade_no"])
            if said is not None:
                paid = said["amount"] if said["paid_at"] else 0
                assert paid == row["fen"], (row["out_trade_no"], paid, row["fen"])
        refunds_there = {item["out_refund_no"] for item in shop.world.refunds()}
        ours = {row["out_refund_no"] for row in await shop.sql.fetch("SELECT out_refund_no FROM refund")}
        assert ours <= refunds_there, "a promised refund never reached WeChat"


async def rest(shop: Shop) -> None:
    worker = shop.worker
    # Business time runs fast here; nobody's working day shall end by it.
    await shop.sql.execute("UPDATE staff_session SET expires_at = expires_at + interval '1 hour'")
    for _ in range(3):
        for sweep in (worker.close_orders, worker.ask_payments, worker.retry_notices):
            await sweep()
        await shop.run_jobs()
        shop.world.skip(seconds=700)
        await worker.ask_refunds()


class Case:
    """Orders of one buyer, each at the point where the deed begins."""

    def __init__(self, shop: Shop, buyer: Buyer, operator: Operator, sku: int) -> None:
        self.shop, self.buyer, self.operator, self.sku = shop, buyer, operator, sku

    async def open(self) -> tuple[str, str]:
        no = await self.buyer.order({self.sku: 2})
        return no, await self.buyer.prepay(no)

    async def paid(self) -> tuple[str, Letter]:
        no, out_trade_no = await self.open()
        self.shop.world.pay(out_trade_no)
        return no, self.shop.mailbox.take()

    async def promised(self) -> tuple[str, str]:
        """Paid, and to be paid back: the order, and the refund's number."""
        no, letter = await self.paid()
        await self.shop.notify(letter)
        (line,) = (await self.buyer.get(f"/orders/{no}")).json()["lines"]
        assert (await self.operator.refund(no, {line["id"]: 2})).status_code == 201
        return no, str(await self.shop.sql.fetchval("SELECT out_refund_no FROM refund WHERE payable = $1", no))

    async def state(self, no: str) -> str:
        return str(await self.shop.sql.fetchval("SELECT state FROM orders WHERE no = $1", no))

    async def refund_state(self, no: str) -> str:
        return str(await self.shop.sql.fetchval("SELECT string_agg(state, ',') FROM refund WHERE payable = $1", no))
