"""Three sides, set against set: every planted difference is found, and none is invented."""

from datetime import date, timedelta
from typing import Any

import pytest
import written_bills as written
from trading_days import Change, changed, flow_rows, followed_by, left_out, net_of, number, seed, trade_rows, twice
from written_bills import Back, Moved, Paid

from payments.reconciliation.models import BillKind, DayState

FIRST = date(2026, 3, 3)
SECOND = FIRST + timedelta(days=1)


async def _fill(
    till: Any, day: date, count: int, trade: dict[str, Change], flow: dict[str, Change], opening_fen: int = 0
) -> None:
    await till.want(day)
    await till.put(day, BillKind.TRADE, written.trade(trade_rows(day, count, trade)))
    await till.put(day, BillKind.FUND_FLOW, written.flow(flow_rows(day, count, flow), opening_fen=opening_fen))


@pytest.mark.parametrize("count", [1, 40])
async def test_a_day_without_a_difference_agrees_to_the_fen(till: Any, count: int) -> None:
    """Also at midnight: the first payment is of the first second, the last one of the last."""
    await seed(till.sql, FIRST, count)
    await _fill(till, FIRST, count, {}, {}, opening_fen=777)
    assert await till.match(FIRST) == DayState.AGREED
    assert await till.open(FIRST) == set()
    figures = await till.sql.fetchval("SELECT figures::text FROM bill_day")
    assert '"residual_fen": 0' in figures
    wechat = await till.sql.fetchval(
        "SELECT sum(CASE debit WHEN 'wechat' THEN amount_fen ELSE -amount_fen END) FROM posting"
        " WHERE 'wechat' IN (debit, credit)"
    )
    assert wechat == net_of(FIRST, count)


async def test_matching_again_changes_nothing(till: Any) -> None:
    """Nothing is booked twice, and nothing noted twice."""
    await seed(till.sql, FIRST, 40)
    unknown = Paid("2026-03-03 12:00:00", "4200999", "TX99999999", 500)
    await _fill(till, FIRST, 40, {number("4200", FIRST, 3): followed_by(unknown)}, {})
    seen = []
    for _ in range(2):
        assert await till.match(FIRST) == DayState.DIFFERS
        seen.append((await till.sql.fetchval("SELECT count(*) FROM posting"), await till.cases()))
    assert seen[0] == seen[1]
    assert seen[0][1] == {("bill_unknown_payment", "4200999")}
