"""Many days in a row, in bounded memory. `BILL_MONTH=31x100000` makes it a month of a large shop (run by hand, with -s)."""

import os
import resource
import time
from datetime import date, timedelta
from typing import Any

import written_bills as written
from trading_days import flow_rows, followed_by, left_out, net_of, number, seed, trade_rows
from written_bills import Moved, Paid

from payments.reconciliation.models import BillKind, DayState

FIRST = date(2026, 2, 1)
DAYS, COUNT = (int(part) for part in os.environ.get("BILL_MONTH", "3x2000").split("x"))
GROWTH_MIB = 64
"""What the process may grow by after the first day, however many follow."""


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


async def test_a_month_is_matched_in_bounded_memory(till: Any) -> None:
    """Each day agrees but for two planted differences; memory does not grow with the days."""
    opening_fen, peak_of_the_first, spent_s, rows = 0, 0, 0.0, 0
    for n in range(DAYS):
        day = FIRST + timedelta(days=n)
        await seed(till.sql, day, COUNT)
        stranger = Paid(f"{day} 12:00:00", f"4299{n}", f"STRANGER{n}", 900)
        moved = Moved(stranger.at, stranger.transaction_id, 900)
        trade = {number("4200", day, 7): followed_by(stranger), number("4200", day, 11): left_out}
        flow = {number("4200", day, 7): followed_by(moved), number("4200", day, 11): left_out}
        await till.want(day)
        start = time.monotonic()
        await till.put(day, BillKind.TRADE, written.trade(trade_rows(day, COUNT, trade)))
        flow_bill = written.flow(flow_rows(day, COUNT, flow), opening_fen=opening_fen)
        await till.put(day, BillKind.FUND_FLOW, flow_bill)
        put = time.monotonic()
        assert await till.match(day) == DayState.DIFFERS
        spent_s += time.monotonic() - start
        lacking = number("4200", day, 11)
        assert await till.open(day) == {("bill_unknown_payment", f"4299{n}"), ("bill_missing_payment", lacking)}
        opening_fen += net_of(day, COUNT) + 900 - await _net(till.sql, lacking)
        rows += 2 * (COUNT + COUNT // 10)
        peak_of_the_first = peak_of_the_first or _peak_mib()
        print(f"{day}: put {put - start:.1f} s, matched {time.monotonic() - put:.1f} s, peak {_peak_mib()} MiB")
    print(f"{DAYS} days, {rows} rows in {spent_s:.0f} s: {rows / spent_s:.0f} rows/s, peak {_peak_mib()} MiB")
    assert _peak_mib() - peak_of_the_first < GROWTH_MIB


async def _net(sql: Any, transaction_id: str) -> int:
    fen = await sql.fetchval("SELECT received_fen FROM payment WHERE transaction_id = $1", transaction_id)
    return int(fen) - (int(fen) * 6 + 500) // 1000
