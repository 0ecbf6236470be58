"""Movements on the account that nobody here booked, and payouts that never moved it."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import written_bills as written
from mornings import balance
from written_bills import Moved

from payments.reconciliation.beijing import BEIJING
from payments.reconciliation.models import BillKind, DayState

DAY = date(2026, 3, 3)
NEXT = DAY + timedelta(days=1)


async def _moved(till: Any, *rows: Moved) -> None:
    """The fund flow of the day; nothing was paid, and the day after nothing moved."""
    for day, some in ((DAY, rows), (NEXT, ())):
        await till.want(day)
        await till.put(day, BillKind.TRADE, written.trade([]))
        opening_fen = 0 if day == DAY else sum(row.fen for row in rows)
        await till.put(day, BillKind.FUND_FLOW, written.flow(some, opening_fen=opening_fen))


async def _booked(sql: Any, cause: str, fen: int) -> None:
    at = datetime(2026, 3, 3, 12, tzinfo=BEIJING)
    statement = "INSERT INTO posting (cause, debit, credit, amount_fen, currency, payable, at)"
    await sql.execute(f"{statement} VALUES ($1, 'payouts', 'wechat', $2, 'CNY', '', $3)", cause, fen, at)


@pytest.mark.parametrize("kind", ["商家转账", "分账", "企业付款", "现金红包"])
async def test_money_that_leaves_by_nobodys_payout_is_a_case(till: Any, kind: str) -> None:
    await _moved(till, Moved(f"{DAY} 12:00:00", "1090001", -50_000, kind, voucher="NOBODY"))
    assert await till.match(DAY) == DayState.DIFFERS
    assert await till.cases() >= {("fund_flow_mismatch", "1090001")}


async def test_a_payout_of_another_amount_is_a_case(till: Any) -> None:
    await _booked(till.sql, "transferred:B1", 500)
    await _booked(till.sql, "transferred:B2", 500)
    same = Moved(f"{DAY} 12:00:00", "1090001", -500, "商家转账", voucher="B1")
    more = Moved(f"{DAY} 12:00:01", "1090002", -501, "商家转账", voucher="B2")
    await _moved(till, same, more)
    assert await till.match(DAY) == DayState.DIFFERS
    assert await till.open(DAY) == {("fund_flow_mismatch", "1090002")}


@pytest.mark.parametrize("cause", ["transferred:B1", "shared:S1:1", "share_returned:S1"])
async def test_a_payout_that_never_left_the_account_is_a_case(till: Any, cause: str) -> None:
    await _booked(till.sql, cause, 500)
    await _moved(till)
    assert await till.match(DAY) == DayState.DIFFERS
    assert await till.cases() >= {("fund_flow_missing", cause)}


async def test_movements_of_a_strange_kind_are_a_case_each_and_booked_into_suspense(till: Any) -> None:
    """Also those without a 业务单号: two of them are no single one."""
    rows: Sequence[Moved] = (
        Moved(f"{DAY} 12:00:00", "", -100, "保证金", "BOND1"),
        Moved(f"{DAY} 12:00:01", "", -250, "保证金", "BOND2"),
        Moved(f"{DAY} 12:00:02", "7700", 30, "保证金", "BOND3"),
    )
    await _moved(till, *rows)
    assert await till.match(DAY) == DayState.DIFFERS
    assert await till.open(DAY) == {("fund_flow_unknown_type", name) for name in ("BOND1", "BOND2", "7700")}
    assert (await balance(till, "suspense"), await balance(till, "wechat")) == (320, -320)
    assert await till.match(DAY) == DayState.DIFFERS
    assert await balance(till, "suspense") == 320
