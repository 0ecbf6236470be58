"""Every ending of every race between attempts to pay one order: money kept ⇔ goods owed.

{open on any channel, several orders at once, payment code, new price, pay (also the old sheet, also after its close), notify,
ask, cancel, time out, refund} in any order, with WeChat failing in between and the shop changing its mind about late money.
After each step the invariants hold; in the end WeChat and we agree about every fen, and nobody was asked.
"""

from contextlib import suppress
from typing import Any

import pytest
from cast import Buyer, Shop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from machine import EFFECTS, PASSING, WHICH, Machine, emptied
from trialing import Rounds

from kit.errors import Problem
from payments import policy
from payments.policy import LatePayment, Policy
from shop.orders import repricing, till
from shop.orders.repricing import NewPrice

pytestmark = [pytest.mark.usefixtures("quiet"), pytest.mark.trial("R6", "R9")]

FAULTY = st.tuples(
    st.sampled_from(
        [
            ("POST", "/v3/pay/transactions/(jsapi|native|app|h5|codepay)$"),
            ("POST", "/v3/combine-transactions/.*"),
            ("POST", ".*/(close|reverse)"),
            ("GET", ".*/out-trade-no/.*"),
            ("POST", ".*/refunds"),
        ]
    ),
    st.sampled_from(EFFECTS),
)
STEP = st.one_of(
    st.tuples(st.just("place"), st.integers(1, 3)),
    st.tuples(st.just("open"), WHICH, st.sampled_from(["jsapi", "native", "app", "h5"])),
    st.tuples(st.just("reprice"), WHICH, st.integers(1, 4000)),
    st.tuples(st.sampled_from(["cancel", "ask"]), WHICH),
    st.tuples(st.just("pay_one"), WHICH, st.integers(0, 5), st.booleans()),
    st.tuples(st.just("charge"), WHICH, st.sampled_from(["at_once", "password"])),
    st.tuples(st.just("refund"), WHICH, st.integers(1, 3)),
    st.tuples(st.just("late"), st.sampled_from(list(LatePayment))),
    st.tuples(st.sampled_from(["together", "deliver", "double", "drop", "sweep", "work"]), st.just(0)),
    st.tuples(st.just("skip"), st.sampled_from([3, 20, 70, 1900])),
    st.tuples(st.just("fault"), FAULTY),
)
OPENING: list[tuple[Any, ...]] = [("place", 2), ("open", 0, "jsapi"), ("place", 1), ("together", 0)]


class Attempts(Machine):
    """What buyers, cashiers and staff may do about paying."""

    of_an_order = Machine.of_an_order | {"open", "reprice", "pay_one", "charge"}

    async def do_open(self, no: str, channel: str) -> None:
        answer = await self.buyer.post(f"/orders/{no}/payments", {"channel": channel})
        assert answer.is_success or answer.status_code in PASSING, answer.text

    async def do_together(self, _: int) -> None:
        if len(self.orders) > 1:
            answer = await self.buyer.post("/combined-payments", {"orderNos": self.orders})
            assert answer.is_success or answer.status_code in PASSING, answer.text

    async def do_pay_one(self, no: str, which: int, raced: bool) -> None:
        """Any sheet that was ever open for this order may still be on somebody's phone."""
        rows = await self.shop.sql.fetch(
            "SELECT coalesce(combine_no, out_trade_no) AS number FROM payment WHERE payable = $1 ORDER BY id", no
        )
        if rows:  # the phone may refuse
            number = rows[which % len(rows)]["number"]
            self.shop.world.http.post(f"/_sandbox/payments/{number}/pay", json={"raced": raced})

    async def do_charge(self, no: str, how: str) -> None:
        self.shop.world.tell("settings", code_payment=how)
        code = self.shop.world.code("at-the-counter", "payment")
        shop, worker = self.shop, self.shop.worker
        with suppress(Problem):
            await till.charge(shop.db, worker.gateway, worker.payee, worker.clock, no, code, by="staff:1", again=False)

    async def do_reprice(self, no: str, total_fen: int) -> None:
        shop, worker, price = self.shop, self.shop.worker, NewPrice(total_fen=total_fen)
        with suppress(Problem):
            await repricing.reprice(
                shop.db, worker.gateway, worker.payee, worker.clock, no, price, by="staff:1", reason="议价"
            )

    async def do_late(self, wish: LatePayment) -> None:
        at = self.shop.world.clock.now()
        async with self.shop.db.begin() as session:
            await policy.replace(session, Policy(late_payment=wish), by="staff:1", at=at)


SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=12, deadline=None, database=None, suppress_health_check=SUPPRESSED)
@given(steps=st.lists(STEP, min_size=4, max_size=24), opened=st.integers(0, 4))
async def test_money_kept_is_goods_owed(shop: Shop, rounds: Rounds, steps: list[tuple[Any, ...]], opened: int) -> None:
    rounds(1, 1)
    await _raced(shop, [*OPENING[:opened], *steps])


@pytest.mark.long
@settings(max_examples=300, deadline=None, database=None, suppress_health_check=SUPPRESSED)
@given(steps=st.lists(STEP, min_size=20, max_size=40), opened=st.integers(0, 4))
async def test_money_kept_is_goods_owed_after_any_race(
    shop: Shop, rounds: Rounds, steps: list[tuple[Any, ...]], opened: int
) -> None:
    rounds(1, 1)
    await _raced(shop, [*OPENING[:opened], *steps])


async def _raced(shop: Shop, steps: list[tuple[Any, ...]]) -> None:
    shop.world.heal()
    await emptied(shop)
    (sku,) = await shop.stocked(30)
    buyer: Buyer = await shop.buyer("racer")
    machine = Attempts(shop, buyer, sku)
    await machine.live(steps)
    waiting = "SELECT kind, reference FROM payment_exception WHERE resolved_at IS NULL AND refund_id IS NULL"
    assert {row["kind"] for row in await shop.sql.fetch(waiting)} <= {"other_payer"}
