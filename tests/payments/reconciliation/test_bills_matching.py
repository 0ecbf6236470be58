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
    assert '"residualFen": 0' in figures
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


def _planted(first: date, second: date) -> tuple[dict[date, dict[str, Change]], dict[date, dict[str, Change]]]:
    """What WeChat writes otherwise: of every kind five, spread over two days."""
    trade: dict[date, dict[str, Change]] = {first: {}, second: {}}
    flow: dict[date, dict[str, Change]] = {first: {}, second: {}}
    for n in range(5):
        day = (first, second)[n % 2]
        paid, back = (lambda i, day=day: number("4200", day, i)), (lambda i, day=day: number("5030", day, i))
        i = 100 * n + 11  # not refunded
        stranger = Paid(f"{day} 12:00:0{n}", f"4299{n}", f"STRANGER{n}", 500 + n, fee_millifen=3_000)
        trade[day][paid(i)] = followed_by(stranger)
        flow[day][paid(i)] = followed_by(Moved(stranger.at, stranger.transaction_id, 497 + n))
        trade[day][paid(i + 1)] = changed(fen=1)
        trade[day][paid(i + 2)] = changed(out_trade_no=f"OTHER{n}00")
        trade[day][paid(i + 3)] = left_out
        flow[day][paid(i + 3)] = left_out
        trade[day][paid(i + 4)] = twice
        trade[day][paid(i + 5)] = changed(currency="USD")
        flow[day][paid(i + 6)] = changed(fen=7)
        flow[day][paid(i + 7)] = followed_by(Moved(f"{day} 13:00:0{n}", f"7700{n}", -100 - n, "保证金", f"BOND{n}"))
        flow[day][paid(i + 8)] = left_out
        i = 100 * n + 20  # refunded
        unasked = Back(f"{day} 14:00:0{n}", paid(i), number("T", day, i), f"5099{n}", f"PORTAL{n}", 1)
        trade[day][back(i)] = followed_by(unasked)
        flow[day][back(i)] = followed_by(Moved(unasked.at, unasked.refund_id, -1, "退款"))
        trade[day][back(i + 10)] = changed(fen=3)
        trade[day][back(i + 20)] = left_out
        flow[day][back(i + 20)] = left_out
        flow[day][back(i + 30)] = followed_by(Moved(f"{day} 15:00:0{n}", f"4288{n}", 800 + n))
        trade[day][back(i + 40)] = changed(out_refund_no=f"OTHERR{n}")
    return trade, flow


def _expected(first: date, second: date) -> dict[date, set[tuple[str, str]]]:
    found: dict[date, set[tuple[str, str]]] = {first: set(), second: set()}
    for n in range(5):
        day = (first, second)[n % 2]
        i, j = 100 * n + 11, 100 * n + 20
        found[day] |= {
            ("bill_unknown_payment", f"4299{n}"),
            ("bill_amount_mismatch", number("4200", day, i + 1)),
            ("bill_number_mismatch", number("4200", day, i + 2)),
            ("bill_missing_payment", number("4200", day, i + 3)),
            ("bill_duplicate_row", number("4200", day, i + 4)),
            ("bill_amount_mismatch", number("4200", day, i + 5)),
            ("fund_flow_mismatch", number("4200", day, i + 6)),
            ("fund_flow_unknown_type", f"7700{n}"),
            ("fund_flow_missing", number("4200", day, i + 8)),
            ("bill_unknown_refund", f"5099{n}"),
            ("bill_amount_mismatch", number("5030", day, j + 10)),
            ("bill_missing_refund", number("5030", day, j + 20)),
            ("fund_flow_unknown", f"4288{n}"),
            ("bill_number_mismatch", number("5030", day, j + 40)),
            ("order_unpaid", number("O", day, i + 20)),
            ("order_amount_mismatch", number("O", day, i + 21)),
            ("order_without_payment", number("O", day, i + 22)),
            ("order_refund_mismatch", number("O", day, j + 60)),
            ("bill_refund_state_mismatch", number("5030", day, j + 70)),
        }
    return found


async def _spoil(sql: Any, first: date, second: date) -> None:
    """What goes wrong on our own two sides."""
    for n in range(5):
        day = (first, second)[n % 2]
        order, refund = (lambda i, day=day: number("O", day, i)), (lambda i, day=day: number("R", day, i))
        i, j = 100 * n + 11, 100 * n + 20
        await sql.execute("UPDATE orders SET state = 'unpaid', paid_at = NULL WHERE no = $1", order(i + 20))
        await sql.execute(
            "UPDATE orders SET total_fen = total_fen + 1, goods_fen = goods_fen + 1 WHERE no = $1", order(i + 21)
        )
        await sql.execute("UPDATE payment SET applied = false WHERE payable = $1", order(i + 22))
        await sql.execute("UPDATE orders SET refunded_fen = 0 WHERE no = $1", order(j + 60))
        await sql.execute(
            "UPDATE refund SET state = 'processing', succeeded_at = NULL WHERE out_refund_no = $1", refund(j + 70)
        )


@pytest.mark.trial("R34")
async def test_every_planted_difference_is_found_and_none_is_invented(till: Any) -> None:
    """Two days of 20,000 payments and 2,000 refunds, 95 differences of every kind, and the gap between two balances."""
    count = 20_000
    trade, flow = _planted(FIRST, SECOND)
    expected = _expected(FIRST, SECOND)
    for day in (FIRST, SECOND):
        await seed(till.sql, day, count)
    await _spoil(till.sql, FIRST, SECOND)
    for day in (FIRST, SECOND):
        await _fill(till, day, count, trade[day], flow[day])
    expected[SECOND].add(("fund_flow_gap", SECOND.isoformat()))  # each of the two begins at zero
    assert await till.match(FIRST) == DayState.DIFFERS
    assert await till.match(SECOND) == DayState.DIFFERS
    for day in (FIRST, SECOND):
        assert await till.open(day) == expected[day]
    assert sum(len(found) for found in expected.values()) == 96
    waiting = {"bill_missing_payment", "bill_missing_refund", "fund_flow_missing"}
    later = {found for found in expected[SECOND] if found[0] in waiting}  # the third day's bills may have them
    ours = {kind for kind, _ in expected[FIRST] | expected[SECOND]}
    assert {found for found in await till.cases() if found[0] in ours} == expected[FIRST] | expected[SECOND] - later
