"""Differences that wait for another bill, go, come back, or come again: whether a person is told."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
import written_bills as written
from trading_days import Change, changed, flow_rows, left_out, number, seed, trade_rows
from written_bills import Back, Moved, Paid

from payments.reconciliation.beijing import BEIJING
from payments.reconciliation.models import BillKind, DayState

FIRST = date(2026, 3, 3)
SECOND = FIRST + timedelta(days=1)
THIRD = SECOND + timedelta(days=1)
ORDER, PAYMENT, REFUND = (number(kind, FIRST, 0) for kind in ("O", "4200", "5030"))
Changes = dict[str, Change] | None
_RESOLVE = "UPDATE payment_exception SET resolved_at = now(), resolved_by = 'staff:1', resolution = 'x'"


async def _fill(till: Any, day: date, *more: Paid | Back | Moved, trade: Changes = None, flow: Changes = None) -> None:
    """The day's bills: of `seed` with one payment, if it was seeded, and `more`."""
    count = int(await till.sql.fetchval("SELECT count(*) FROM orders WHERE no = $1", number("O", day, 0)))
    before = "SELECT balance_fen FROM bill_flow WHERE day < $1 ORDER BY day DESC, line DESC LIMIT 1"
    opening_fen = await till.sql.fetchval(before, day) or 0
    billed = [*trade_rows(day, count, trade or {}), *(row for row in more if not isinstance(row, Moved))]
    moved = [*flow_rows(day, count, flow or {}), *(row for row in more if isinstance(row, Moved))]
    await till.want(day)
    await till.put(day, BillKind.TRADE, written.trade(billed))
    await till.put(day, BillKind.FUND_FLOW, written.flow(moved, opening_fen=opening_fen))


async def test_a_difference_that_comes_back_is_a_case_again(till: Any) -> None:
    await seed(till.sql, FIRST, 1)
    await _fill(till, FIRST)
    for _ in range(2):
        await till.sql.execute("UPDATE orders SET state = 'unpaid', paid_at = NULL")
        assert await till.match(FIRST) == DayState.DIFFERS
        assert await till.cases() == {("order_unpaid", ORDER)}
        await till.sql.execute("UPDATE orders SET state = 'paid', paid_at = created_at")
        assert await till.match(FIRST) == DayState.AGREED
        assert await till.cases() == set()


async def test_what_a_person_decided_of_one_day_is_asked_again_when_it_happens_on_another(till: Any) -> None:
    """The decision was about the first refund too much; of the second nobody knew."""
    await seed(till.sql, FIRST, 1)
    await till.sql.execute("UPDATE orders SET refunded_fen = 0")
    await _fill(till, FIRST)
    assert await till.match(FIRST) == DayState.DIFFERS
    assert await till.cases() == {("order_refund_mismatch", ORDER)}
    await till.sql.execute(_RESOLVE)
    assert await till.match(FIRST) == DayState.AGREED
    at = datetime.combine(SECOND, datetime.min.time(), BEIJING)
    await till.sql.execute(
        """
        INSERT INTO refund (out_refund_no, payment_id, payable, cause, amount_fen, reason, state, refund_id, check_at,
            requested_by, requested_at, succeeded_at)
        SELECT 'R2', payment_id, payable, 'R2', 10, '', state, '50302', $1, requested_by, $1, $1 FROM refund
        """,
        at,
    )
    await till.sql.execute(
        "INSERT INTO posting (cause, debit, credit, amount_fen, currency, payable, at)"
        " VALUES ('refunded:R2', 'refunds_payable', 'wechat', 10, 'CNY', $1, $2)",
        ORDER,
        at,
    )
    back = Back(f"{SECOND} 00:00:00", PAYMENT, number("T", FIRST, 0), "50302", "R2", 10)
    await _fill(till, SECOND, back, Moved(back.at, "50302", -10, "退款"))
    assert await till.match(SECOND) == DayState.DIFFERS
    assert ("order_refund_mismatch", ORDER) in await till.cases()
    assert (
        await till.sql.fetchval("SELECT facts ->> 'refunds_fen' FROM payment_exception WHERE reference = $1", ORDER)
        == "60"
    )
    await till.sql.execute(_RESOLVE)
    for day in (SECOND, FIRST):
        assert await till.match(day) == DayState.AGREED
    assert await till.cases() == set()


async def test_a_bill_that_could_not_be_had_closes_no_case(till: Any) -> None:
    """What was found by the bills of before is not gone because nobody could look."""
    await seed(till.sql, FIRST, 1)
    for statement in (
        "UPDATE payment SET received_at = received_at - interval '9 days', applied = false",
        "UPDATE refund SET requested_at = requested_at - interval '9 days', succeeded_at = succeeded_at - interval '9 days'",
        """INSERT INTO posting (cause, debit, credit, amount_fen, currency, payable, at)
        SELECT 'transferred:B', 'payouts', 'wechat', 10, 'CNY', '', created_at FROM orders""",
    ):
        await till.sql.execute(statement)
    for day in (FIRST, SECOND):
        await till.want(day)
    await till.sql.execute("UPDATE bill SET state = 'empty'")
    found = {("order_without_payment", ORDER), ("fund_flow_missing", "transferred:B")}
    assert await till.match(FIRST) == DayState.DIFFERS
    assert await till.cases() == found
    for failed in ("fund_flow", "trade"):
        await till.sql.execute("UPDATE bill SET state = 'failed' WHERE day = $1 AND kind = $2", FIRST, failed)
        assert await till.match(FIRST) == DayState.DIFFERS
        assert await till.cases() == found
    await till.sql.execute("UPDATE bill SET state = 'empty'")
    await till.sql.execute("UPDATE orders SET state = 'unpaid', paid_at = NULL")
    assert await till.match(FIRST) == DayState.DIFFERS
    assert await till.cases() == {("fund_flow_missing", "transferred:B")}


async def test_a_refund_may_stand_in_a_bill_that_is_still_wanted(till: Any) -> None:
    """Accepted on the first day, whose bill is late, and with the payer on the second, whose bill lacks it."""
    await seed(till.sql, FIRST, 1)
    await till.sql.execute("UPDATE refund SET succeeded_at = succeeded_at + interval '1 day'")
    await till.want(FIRST)
    for day in (SECOND, THIRD):
        await _fill(till, day)
    assert await till.match(SECOND) == DayState.DIFFERS
    assert (await till.open(SECOND), await till.cases()) == ({("bill_missing_refund", REFUND)}, set())
    await _fill(till, FIRST)
    assert await till.match(SECOND) == DayState.AGREED
    assert await till.open(SECOND) == set()


async def test_a_refund_that_no_bill_has_is_a_case_when_all_are_in(till: Any) -> None:
    await seed(till.sql, FIRST, 1)
    await till.sql.execute("UPDATE refund SET succeeded_at = succeeded_at + interval '1 day'")
    for day in (FIRST, SECOND, THIRD):
        await _fill(till, day, trade={REFUND: left_out}, flow={REFUND: left_out})
    assert await till.match(SECOND) == DayState.DIFFERS
    assert await till.cases() >= {("bill_missing_refund", REFUND)}


async def test_what_is_billed_again_on_another_day_is_a_difference(till: Any) -> None:
    await seed(till.sql, FIRST, 1)
    await _fill(till, FIRST)
    paid, back = trade_rows(FIRST, 1, {})
    await seed(till.sql, SECOND, 1)
    await _fill(till, SECOND, paid, back)
    assert await till.match(FIRST) == DayState.AGREED
    assert await till.match(SECOND) == DayState.DIFFERS
    assert await till.open(SECOND) >= {("bill_duplicate_row", row) for row in (PAYMENT, REFUND)}


@pytest.mark.parametrize("status", ["FAIL", "CLOSED"])
async def test_a_refund_that_failed_by_the_bill_and_succeeded_by_us_is_a_case(till: Any, status: str) -> None:
    await seed(till.sql, FIRST, 1)
    await _fill(till, FIRST, trade={REFUND: changed(status=status)})
    assert await till.match(FIRST) == DayState.DIFFERS
    assert await till.cases() >= {("bill_refund_state_mismatch", REFUND)}
