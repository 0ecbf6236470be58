"""Fees are billed with parts of a fen: the account says which fen it was, whenever it says so."""

import dataclasses
from datetime import date, timedelta
from typing import Any

import written_bills as written
from mornings import balance, figure
from trading_days import flow_rows, net_of, seed, trade_rows

from payments.reconciliation.models import BillKind, DayState

FIRST = date(2026, 3, 3)
SECOND = FIRST + timedelta(days=1)
COUNT = 40


async def test_a_fund_flow_that_comes_later_corrects_the_fees(till: Any) -> None:
    """Until then they are the rounded sum of the day, which the account need not have taken."""
    await seed(till.sql, FIRST, COUNT)
    await till.want(FIRST)
    await till.put(FIRST, BillKind.TRADE, written.trade(trade_rows(FIRST, COUNT, {})))
    await till.sql.execute("UPDATE bill SET state = 'failed' WHERE kind = 'fund_flow'")
    assert await till.match(FIRST) == DayState.DIFFERS
    assert await balance(till, "wechat") != net_of(FIRST, COUNT)
    await till.want(FIRST)
    await till.put(FIRST, BillKind.FUND_FLOW, written.flow(flow_rows(FIRST, COUNT, {})))
    assert await till.match(FIRST) == DayState.AGREED
    assert await balance(till, "wechat") == net_of(FIRST, COUNT)
    assert await balance(till, "fees") == await figure(till, FIRST, "booked", "feesFen")
    assert await figure(till, FIRST, "flow", "residualFen") == 0


async def test_what_moves_after_midnight_tells_the_fee_of_the_day_before(till: Any) -> None:
    await seed(till.sql, FIRST, COUNT)
    rows = list(flow_rows(FIRST, COUNT, {}))
    late = [dataclasses.replace(row, at=f"{SECOND} 00:00:01") for row in rows[20:]]
    for day, moved, opening_fen in ((FIRST, rows[:20], 0), (SECOND, late, sum(row.fen for row in rows[:20]))):
        await till.want(day)
        trade = trade_rows(day, COUNT if day == FIRST else 0, {})
        await till.put(day, BillKind.TRADE, written.trade(trade))
        await till.put(day, BillKind.FUND_FLOW, written.flow(moved, opening_fen=opening_fen))
    assert await till.match(FIRST) == DayState.AGREED
    assert await balance(till, "wechat") != net_of(FIRST, COUNT)
    assert await till.match(SECOND) == DayState.AGREED
    assert await balance(till, "wechat") == net_of(FIRST, COUNT)
    assert await figure(till, SECOND, "flow", "bookedFen") == sum(row.fen for row in late)
