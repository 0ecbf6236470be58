"""Two days' bills with fifty differences, of which kind and where by the dice: all are found, and none is invented."""

import random
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import tills
import written_bills as written
from trading_days import Change, changed, flow_rows, followed_by, left_out, number, seed, trade_rows, twice
from trialing import Rounds
from world import World
from written_bills import Back, Moved, Paid

from kit.clock import ManualClock
from kit.database import Database
from payments.reconciliation.models import BillKind, DayState
from shop.settings import Settings

FIRST = date(2026, 3, 3)
SECOND = FIRST + timedelta(days=1)
PLANTED = 50
LATER = 4
"""Rows that stand in the next day's bill: late, and no difference."""
Found = tuple[str, str]


class Bills:
    """What WeChat writes of two days, some of it otherwise; `expected` is what must be found, by day."""

    def __init__(self, sql: Any) -> None:
        self.sql = sql
        self.trade: dict[date, dict[str, Change]] = {FIRST: {}, SECOND: {}}
        self.flow: dict[date, dict[str, Change]] = {FIRST: {}, SECOND: {}}
        self.more: list[tuple[Any, Any]] = []
        """Rows of the first day that stand at the end of the second."""
        self.expected: dict[date, set[Found]] = {FIRST: set(), SECOND: set()}

    def _paid(self, day: date, i: int, trade: Change | None, flow: Change | None, kind: str) -> None:
        key = number("4200", day, i)
        if trade is not None:
            self.trade[day][key] = trade
        if flow is not None:
            self.flow[day][key] = flow
        self.expected[day].add((kind, key))

    def _back(self, day: date, i: int, trade: Change | None, flow: Change | None, kind: str) -> None:
        key = number("5030", day, i)
        if trade is not None:
            self.trade[day][key] = trade
        if flow is not None:
            self.flow[day][key] = flow
        self.expected[day].add((kind, key))

    async def stranger(self, day: date, i: int) -> None:
        """A payment that only WeChat knows."""
        paid = Paid(f"{day} 12:00:00", f"4299{day:%d}{i}", f"STRANGER{day:%d}{i}", 500 + i, fee_millifen=3_000)
        self.trade[day][number("4200", day, i)] = followed_by(paid)
        self.flow[day][number("4200", day, i)] = followed_by(Moved(paid.at, paid.transaction_id, 497 + i))
        self.expected[day].add(("bill_unknown_payment", paid.transaction_id))

    async def missing(self, day: date, i: int) -> None:
        self._paid(day, i, left_out, left_out, "bill_missing_payment")

    async def other_amount(self, day: date, i: int) -> None:
        self._paid(day, i, changed(fen=1), None, "bill_amount_mismatch")

    async def other_currency(self, day: date, i: int) -> None:
        self._paid(day, i, changed(currency="USD"), None, "bill_amount_mismatch")

    async def other_number(self, day: date, i: int) -> None:
        self._paid(day, i, changed(out_trade_no=f"OTHER{day:%d}{i}"), None, "bill_number_mismatch")

    async def same_row_twice(self, day: date, i: int) -> None:
        self._paid(day, i, twice, None, "bill_duplicate_row")

    async def fee_of_another_size(self, day: date, i: int) -> None:
        """The account got some fen less than the payment and its fee say."""
        key = number("4200", day, i)
        self.flow[day][key] = lambda row: [Moved(row.at, row.business_id, row.fen - 2, row.type, voucher=row.voucher)]
        self.expected[day].add(("fund_flow_mismatch", key))

    async def not_on_the_account(self, day: date, i: int) -> None:
        self._paid(day, i, None, left_out, "fund_flow_missing")

    async def movement_of_a_strange_kind(self, day: date, i: int) -> None:
        bond = Moved(f"{day} 13:00:00", f"7700{day:%d}{i}", -100 - i, "保证金", f"BOND{day:%d}{i}")
        self.flow[day][number("4200", day, i)] = followed_by(bond)
        self.expected[day].add(("fund_flow_unknown_type", bond.business_id))

    async def movement_of_nobody(self, day: date, i: int) -> None:
        moved = Moved(f"{day} 15:00:00", f"4288{day:%d}{i}", 800 + i)
        self.flow[day][number("4200", day, i)] = followed_by(moved)
        self.expected[day].add(("fund_flow_unknown", moved.business_id))

    async def refund_only_there(self, day: date, i: int) -> None:
        numbers = number("4200", day, i), number("T", day, i), f"5099{day:%d}{i}", f"PORTAL{day:%d}{i}"
        back = Back(f"{day} 14:00:00", *numbers, 1)
        self.trade[day][number("5030", day, i)] = followed_by(back)
        self.flow[day][number("5030", day, i)] = followed_by(Moved(back.at, back.refund_id, -1, "退款"))
        self.expected[day].add(("bill_unknown_refund", back.refund_id))

    async def refund_missing(self, day: date, i: int) -> None:
        self._back(day, i, left_out, left_out, "bill_missing_refund")

    async def refund_of_another_amount(self, day: date, i: int) -> None:
        self._back(day, i, changed(fen=3), None, "bill_amount_mismatch")

    async def refund_under_another_number(self, day: date, i: int) -> None:
        self._back(day, i, changed(out_refund_no=f"OTHERR{day:%d}{i}"), None, "bill_number_mismatch")

    async def order_not_paid_here(self, day: date, i: int) -> None:
        no = number("O", day, i)
        await self.sql.execute("UPDATE orders SET state = 'unpaid', paid_at = NULL WHERE no = $1", no)
        self.expected[day].add(("order_unpaid", no))

    async def order_of_another_total(self, day: date, i: int) -> None:
        no = number("O", day, i)
        change = "UPDATE orders SET total_fen = total_fen + 1, goods_fen = goods_fen + 1 WHERE no = $1"
        await self.sql.execute(change, no)
        self.expected[day].add(("order_amount_mismatch", no))

    def late(self, i: int) -> None:
        """A payment of the first day stands in the second day's bills."""
        key, kept = number("4200", FIRST, i), {}

        def away(which: str) -> Change:
            return lambda row: kept.setdefault(which, row) and []

        self.trade[FIRST][key], self.flow[FIRST][key] = away("trade"), away("flow")
        self.more.append((kept, key))


OF_PAYMENTS: list[Callable[..., Any]] = [
    *(Bills.stranger, Bills.missing, Bills.other_amount, Bills.other_currency, Bills.other_number),
    *(Bills.same_row_twice, Bills.fee_of_another_size, Bills.not_on_the_account, Bills.movement_of_a_strange_kind),
    *(Bills.movement_of_nobody, Bills.order_not_paid_here, Bills.order_of_another_total),
]
OF_REFUNDS: list[Callable[..., Any]] = [
    *(Bills.refund_only_there, Bills.refund_missing, Bills.refund_of_another_amount),
    Bills.refund_under_another_number,
]
KINDS = OF_PAYMENTS + OF_REFUNDS


async def _plant(bills: Bills, chance: random.Random, count: int) -> None:
    """Each kind at least once, and no two at one payment."""
    free = {(day, i) for day in (FIRST, SECOND) for i in range(1, count)}
    refunded = sorted(place for place in free if place[1] % 10 == 0)
    whole = sorted(place for place in free if place[1] % 10)
    chance.shuffle(refunded)
    chance.shuffle(whole)
    wanted = KINDS + chance.choices(KINDS, k=PLANTED - len(KINDS))
    for plant in wanted:
        day, i = (refunded if plant in OF_REFUNDS else whole).pop()
        await plant(bills, day, i)
    for _ in range(LATER):
        bills.late(next(i for day, i in iter(whole.pop, None) if day == FIRST))


@pytest.mark.trial("R34")
async def test_fifty_differences_are_found_and_none_is_invented(
    settings: Settings,
    db: Database,
    sql: Any,
    clock: ManualClock,
    wechat_world: World,
    tmp_path: Path,
    chance: random.Random,
    rounds: Rounds,
) -> None:
    count = rounds(500, 10_000)
    bills = Bills(sql)
    async with tills.opened(settings, db, sql, clock, wechat_world, tmp_path) as till:
        for day in (FIRST, SECOND):
            await seed(sql, day, count)
        await _plant(bills, chance, count)
        opening = 0
        for day in (FIRST, SECOND):
            trade, flow = list(trade_rows(day, count, bills.trade[day])), list(flow_rows(day, count, bills.flow[day]))
            if day == SECOND:
                trade += [kept["trade"] for kept, _ in bills.more]
                flow += [kept["flow"] for kept, _ in bills.more]
            await till.want(day)
            await till.put(day, BillKind.TRADE, written.trade(trade))
            await till.put(day, BillKind.FUND_FLOW, written.flow(flow, opening_fen=opening))
            opening += sum(row.fen for row in flow)
        for day in (FIRST, SECOND):
            assert await till.match(day) == DayState.DIFFERS
        assert {day: await till.open(day) for day in bills.expected} == bills.expected
        assert sum(len(found) for found in bills.expected.values()) == PLANTED
